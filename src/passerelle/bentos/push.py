"""Push an image to its registry; the digest that the registry gives it names it from there on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from passerelle.bentos.engine import ask, failed, inspect, of_registry
from passerelle.errors import OutsideError, UsageError
from passerelle.names import ImageRef

_PUSH_TIMEOUT_S = 1_800.0
_REFUSALS = ("unauthorized", "authentication required", "denied", "no basic auth")


def registry_of(image: ImageRef) -> str:
    """Return the host of the registry in an image's name.

    Raises:
        UsageError: The name has none; Docker would push it to its own public registry.
    """
    host = image.repository.partition("/")[0]
    if of_registry([image.repository]) is None:
        message = f"the image {image} names no registry to push to"
        raise UsageError(message, hint=f"passerelle containerize --push --image registry.example.org/{image}")
    return host


def push(engine: str, image: ImageRef) -> str:
    """Push the image and return `registry/name@sha256:…`, by which deployments name it.

    Raises:
        UsageError: The name has no registry.
        OutsideError: The registry refuses or does not answer, or the engine does not say which digest the image has there.
    """
    registry = registry_of(image)
    with tempfile.TemporaryDirectory() as temporary:
        digest_file = Path(temporary) / "digest"
        digest_option = () if engine == "docker" else ("--digestfile", str(digest_file))
        done = ask(engine, "push", *digest_option, str(image), timeout_s=_PUSH_TIMEOUT_S)
        if done.returncode != 0:
            raise _refused(engine, image, registry, done.stdout + done.stderr)
        digest = digest_file.read_text(encoding="utf-8").strip() if digest_file.exists() else _digest(engine, image)
    if digest is None:
        raise OutsideError(f"{engine} pushed {image} and does not know its digest", hint=f"{engine} image inspect {image}")
    return f"{image.repository}@{digest}"


def _digest(engine: str, image: ImageRef) -> str | None:
    known = (inspect(engine, str(image)) or {}).get("RepoDigests") or ()
    found = (name.rpartition("@") for name in known)
    return next((digest for repository, _, digest in found if repository == image.repository), None)


def _refused(engine: str, image: ImageRef, registry: str, output: str) -> OutsideError:
    if any(word in output.lower() for word in _REFUSALS):
        last = output.strip().splitlines()[-1]
        return OutsideError(f"{registry} does not let this user push {image}: {last}", hint=f"{engine} login {registry}")
    return failed(engine, output, of=f"pushing {image}", hint=f"{engine} push {image}")

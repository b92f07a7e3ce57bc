"""The container engine of this machine: found and called; its errors become one sentence."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from passerelle.bentos import buildah
from passerelle.bentos.tool_environment import tool_environment
from passerelle.errors import NotFoundError, OutsideError

#: What an engine says of an image or a container; the parts that are read are the same in Docker and in Podman.
Inspected = dict[str, Any]
_ASK_TIMEOUT_S = 60.0
_ENGINES = ("docker", "podman", "buildah")
#: In the tag of an unfinished image; a build that is killed leaves such images behind.
IN_THE_MAKING = "in-the-making-"
#: What pip and uv say of a package that an index does not list.
_NOT_LISTED = ("no matching distribution found", "not found in the package registry", "there are no versions of", "no solution found when")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_engine(*among: str) -> str:
    """Return the container engine that answers.

    Args:
        among: Those that will do; by default all.

    Raises:
        OutsideError: None is installed, none runs, or this user may not talk to it.
    """
    installed = [engine for engine in among or _ENGINES if shutil.which(engine)]
    if not installed:
        message = (
            "no container engine is installed: none of docker, podman and buildah is on the PATH; a bento is served locally without one"
        )
        raise OutsideError(message, hint="passerelle deploy --target local")
    refusals = []
    for engine in installed:
        info = ask(engine, "info", "--format", "{{json .}}")
        if info.returncode == 0:
            return engine
        refusals.append((info.stderr.strip().splitlines() or ["it does not answer"])[0])
    engine, message = installed[0], refusals[0]
    if "permission denied" in message.lower():
        raise OutsideError(
            f"this user may not talk to {engine}: {message}", hint='sudo usermod --append --groups docker "$USER"; newgrp docker'
        )
    hint = "sudo systemctl start docker" if engine == "docker" else f"{engine} info"
    raise OutsideError(f"{engine} is installed, but its engine does not answer: {message}", hint=hint)


def ask(engine: str, *arguments: str, timeout_s: float = _ASK_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Return what the engine answers to a command of docker; no answer counts as a failed command."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([engine, *words], env=tool_environment(), capture_output=True, text=True, timeout=timeout_s, check=False)
        except (subprocess.TimeoutExpired, OSError) as error:
            return subprocess.CompletedProcess([engine], 1, "", f"{engine} does not answer: {error}")

    return buildah.answer(run, arguments) if engine == "buildah" else run(*arguments)


def inspect(engine: str, image: str) -> Inspected | None:
    """Return what the engine knows of an image; None where it holds none of this name."""
    answer = ask(engine, "image", "inspect", image)
    return dict(json.loads(answer.stdout)[0]) if answer.returncode == 0 else None


def labels_of(name: str) -> Mapping[str, str] | None:
    """Return the labels of an image that an engine on this machine holds; None where there is no engine or no such image."""
    image = _image(name)
    return None if image is None else dict((image.get("Config") or {}).get("Labels") or {})


def find_image(name: str) -> str | None:
    """Return the digest of an image that an engine on this machine holds; None where there is no engine or no such image."""
    image = _image(name)
    return None if image is None else str(image["Id"])


def pushed_as(name: str) -> str | None:
    """Return `registry/name@sha256:…` of an image that was pushed to a registry or pulled from one; None if it is only on this machine."""
    image = _image(name)
    return None if image is None else of_registry(image.get("RepoDigests") or ())


def _image(name: str) -> dict[str, Any] | None:
    # What the first engine that has the image says of it.
    found = (inspect(engine, name) for engine in _ENGINES if shutil.which(engine))
    return next((image for image in found if image is not None), None)


def of_registry(names: Iterable[str]) -> str | None:
    """Return the first name that begins with a registry's host; None where none does.

    Podman, and Docker with containerd's store, also give a digest to images that were only built here. Podman names such images
    `localhost/`.
    """
    hosts = {name: name.partition("/")[0] for name in names if "/" in name}
    return next((name for name, host in hosts.items() if "." in host or ":" in host), None)


def newest_image(label: str, among: Collection[str]) -> tuple[str, Mapping[str, str]] | None:
    """Return the name and the labels of the newest image whose label has one of these values; None where there is none, or no engine.

    Only the first engine that answers is searched: it is the one that builds images.
    """
    for engine in filter(shutil.which, _ENGINES):
        answer = ask(engine, "image", "ls", "--quiet", "--filter", f"label={label}")
        if answer.returncode != 0:
            continue
        listed = answer.stdout.split()
        images = json.loads(ask(engine, "image", "inspect", *dict.fromkeys(listed)).stdout or "[]") if listed else []
        ours = [image for image in images if image["Config"]["Labels"].get(label) in among and _names(image)]
        newest = max(ours, key=lambda image: str(image["Created"]), default=None)
        return None if newest is None else (_names(newest)[0], dict(newest["Config"]["Labels"]))
    return None


def _names(image: Inspected) -> list[str]:
    return [name for name in image.get("RepoTags") or () if IN_THE_MAKING not in name]


def check_architecture(engine: str, image: str) -> None:
    """Check that this machine can run the image.

    Raises:
        NotFoundError: The engine holds no such image.
        OutsideError: It was built for another architecture.
    """
    inspected = inspect(engine, image)
    if inspected is None:
        raise NotFoundError(f"{engine} holds no image {image}", hint="passerelle containerize")
    if not runs_here(inspected):
        raise OutsideError(
            f"the image {image} is for {inspected['Architecture']}, and this machine is {this_machine()}",
            hint="passerelle containerize",
        )


def runs_here(image: Inspected) -> bool:
    """Return whether what `inspect` returned is an image for this machine's architecture."""
    return image.get("Architecture") in (this_machine(), "", None)


def this_machine() -> str:
    """Return this machine's architecture by the name that images have for it."""
    return _MACHINES.get(platform.machine(), platform.machine())


def failed(engine: str, output: str, *, of: str, hint: str) -> OutsideError:
    """Return the error for a build or a run that failed, with the cause first if it is known."""
    lines = [line for line in output.strip().splitlines() if line.strip()]
    lowered = output.lower()
    if "no space left on device" in lowered:
        return OutsideError(
            f"the disk of {engine} is full: {of} was not made; existing images are unchanged",
            hint="df --human-readable /var/lib/containers; buildah prune"
            if engine == "buildah"
            else f"{engine} system df; {engine} builder prune",
        )
    if "hashes are required" in lowered or "hash mismatch" in lowered or "do not match the hashes" in lowered:
        return OutsideError(
            f"a package is not the one that was locked: {of} was not made\n{_indented(lines)}", hint="make lock; git diff requirements"
        )
    if any(words in lowered for words in _NOT_LISTED):
        message = f"the package index lacks a locked package, or answers with a page of a proxy: {of} was not made\n{_indented(lines)}"
        return OutsideError(message, hint="unset PASSERELLE_BUILD_PIP_CONF\npasserelle containerize --wheels FOLDER")
    if "exec format error" in lowered:
        return OutsideError(f"{of} is for another architecture than this machine's", hint="passerelle containerize")
    return OutsideError(f"{of} failed:\n{_indented(lines)}", hint=hint)


def _indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines[-15:])

"""Make an OCI image of a bento with BentoML's own command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from passerelle.bentos.store import Store
from passerelle.errors import NotFoundError, OutsideError, UsageError
from passerelle.names import BentoTag, ImageRef
from passerelle.settings import StoreSettings

_BUILD_TIMEOUT_S = 1_800.0
_ASK_TIMEOUT_S = 30.0
_ENGINES = ("docker", "podman")


@dataclass(frozen=True)
class BuiltImage:
    """An image of a bento.

    Attributes:
        image: Its name and tag, with the digest of its configuration.
        engine: The program that built it.
        size_bytes: Its size in the engine.
    """

    image: ImageRef
    bento_tag: BentoTag
    engine: str
    size_bytes: int | None = None
    dry_run: bool = False


def containerize(
    settings: StoreSettings,
    *,
    bento_tag: BentoTag,
    image_name: str | None = None,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> BuiltImage:
    """Build the bento's image; the engine's cache makes a second time quick.

    Args:
        image_name: `repository:tag`; by default passerelle/<bento tag>.

    Raises:
        NotFoundError: The store holds no such bento.
        OutsideError: No engine answers, or the build fails; holds what it said.
    """
    store = Store(settings)
    if store.bento(bento_tag) is None:
        raise NotFoundError(f"the BentoML store holds no bento {bento_tag}", hint="passerelle build; bentoml list")
    image = image_ref(image_name or f"passerelle/{bento_tag}")
    engine = find_engine()
    if dry_run:
        return BuiltImage(image, bento_tag, engine, dry_run=True)
    progress(f"{engine} builds {image}; the first time takes a minute")
    command = [sys.executable, "-m", "bentoml", "containerize", str(bento_tag), "--backend", engine, "--image-tag", str(image)]
    environment = dict(os.environ) | {"BENTOML_HOME": str(store.home), "BENTOML_DO_NOT_TRACK": "true"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"the build of {image} took longer than {_BUILD_TIMEOUT_S:.0f} s", hint="passerelle containerize") from error
    if done.returncode != 0:
        said = "\n".join(f"    {line}" for line in (done.stderr + done.stdout).strip().splitlines()[-20:])
        raise OutsideError(f"the build of {image} failed:\n{said}", hint=f"bentoml containerize {bento_tag}")
    return _inspected(engine, image, bento_tag)


def find_engine() -> str:
    """Return the container engine that answers.

    Raises:
        OutsideError: None is installed, none runs, or this user may not talk to it.
    """
    installed = [engine for engine in _ENGINES if shutil.which(engine)]
    if not installed:
        hint = "install Docker or Podman; passerelle deploy --target local serves the bento without"
        raise OutsideError("no container engine is installed: neither docker nor podman is on the PATH", hint=hint)
    said = ""
    for engine in installed:
        asked = _ask(engine, "info", "--format", "{{json .}}")
        if asked.returncode == 0:
            return engine
        said = (asked.stderr.strip().splitlines() or ["it does not answer"])[0]
    if "permission denied" in said.lower():
        raise OutsideError(
            f"this user may not talk to {installed[-1]}: {said}", hint="add the user to the group docker, or use rootless Docker"
        )
    raise OutsideError(
        f"{installed[-1]} is installed, but its engine does not answer: {said}", hint="start it: sudo systemctl start docker"
    )


def find_image(name: str) -> str | None:
    """Return the digest of an image that an engine on this machine holds; None where there is no engine or no such image."""
    for engine in _ENGINES:
        if shutil.which(engine):
            asked = _ask(engine, "image", "inspect", "--format", "{{.Id}}", name)
            if asked.returncode == 0:
                return asked.stdout.strip()
    return None


def image_ref(name: str) -> ImageRef:
    """Return the image of a name `repository:tag`.

    Raises:
        UsageError: There is no tag, or it is `latest`, which says nothing of what is in it.
    """
    repository, colon, image_tag = name.rpartition(":")
    if not colon or "/" in image_tag or not repository or image_tag == "latest":
        raise UsageError(
            f"« {name} » does not name an image with a tag of its own", hint="passerelle containerize --image passerelle/name:1"
        )
    return ImageRef(repository, image_tag)


def _ask(engine: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run([engine, *arguments], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False)
    except (subprocess.TimeoutExpired, OSError) as error:
        return subprocess.CompletedProcess([engine], 1, "", f"{engine} does not answer: {error}")


def _inspected(engine: str, image: ImageRef, bento_tag: BentoTag) -> BuiltImage:
    asked = _ask(engine, "image", "inspect", str(image))
    if asked.returncode != 0:
        raise OutsideError(f"{engine} built {image} and does not find it: {asked.stderr.strip()}", hint=f"{engine} image ls")
    held = json.loads(asked.stdout)[0]
    return BuiltImage(ImageRef(image.repository, image.image_tag, str(held["Id"])), bento_tag, engine, int(held["Size"]))

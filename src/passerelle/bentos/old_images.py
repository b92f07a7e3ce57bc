"""The images that containerize made of a store's bentos, those that containers use, and their removal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from passerelle.bentos.engine import IN_THE_MAKING, Inspected, ask, failed
from passerelle.bentos.store import Store
from passerelle.bentos.store_entries import labelled_version
from passerelle.errors import OutsideError
from passerelle.names import BENTO_TAG_LABEL, INPUTS_DIGEST_LABEL, ModelVersionRef

_LOCAL = "localhost/"


@dataclass(frozen=True)
class EngineImage:
    """A name of an image that containerize made here.

    Attributes:
        identity: Digest of its configuration.
        bill: Its bill of materials beside the store, by which it is known to be of this store.
        size_bytes: As the engine counts it, with the layers that other images share.
    """

    name: str
    identity: str
    bento_tag: str
    ref: ModelVersionRef
    bill: Path
    size_bytes: int


def service_images(engine: str, store: Store) -> tuple[EngineImage, ...]:
    """Return the images that the engine holds of this store's bentos.

    An image that somebody made on top of one inherits its labels, and another project's has them too: neither has a bill of materials here.

    Raises:
        OutsideError: The engine does not list its images.
    """
    listed = _answer(engine, "image", "ls", "--quiet", "--filter", f"label={BENTO_TAG_LABEL}").split()
    images = json.loads(_answer(engine, "image", "inspect", *dict.fromkeys(listed))) if listed else []
    # Buildah lists an image once for each of its names.
    found = {each.name: each for image in images for each in _names(image, store)}
    return tuple(found[name] for name in sorted(found))


def _names(image: Inspected, store: Store) -> list[EngineImage]:
    labels = dict((image.get("Config") or {}).get("Labels") or {})
    ref = labelled_version(labels) if INPUTS_DIGEST_LABEL in labels else None
    if ref is None:
        return []
    named = [(name, bill_path(store, name)) for name in image.get("RepoTags") or () if IN_THE_MAKING not in name]
    identity, size = _bare(str(image["Id"])), int(image.get("Size") or 0)
    return [EngineImage(name, identity, labels[BENTO_TAG_LABEL], ref, bill, size) for name, bill in named if bill.is_file()]


def bill_path(store: Store, image_name: str) -> Path:
    """Return where the bill of materials of an image lies beside the store."""
    return store.home / "images" / f"{image_name.removeprefix(_LOCAL).replace('/', '_').replace(':', '_')}.cdx.json"


def images_in_containers(engine: str) -> frozenset[str]:
    """Return the digests of the images whose containers run or are stopped.

    Raises:
        OutsideError: The engine does not list its containers.
    """
    if engine == "buildah":
        return frozenset(_bare(str(each["imageid"])) for each in json.loads(_answer(engine, "containers", "--json") or "null") or ())
    listed = _answer(engine, "ps", "--all", "--quiet", "--no-trunc").split()
    if not listed:
        return frozenset()
    return frozenset(_bare(str(each["Image"])) for each in json.loads(_answer(engine, "container", "inspect", *listed)))


def remove_image(engine: str, image: EngineImage) -> str | None:
    """Take a name from an image, and remove the image with its last one; return why the engine refuses that."""
    removed = ask(engine, "image", "rm", image.name)
    if removed.returncode != 0:
        return (removed.stderr.strip().splitlines() or ["it does not say why"])[-1]
    image.bill.unlink(missing_ok=True)
    return None


def _answer(engine: str, *arguments: str) -> str:
    answer = ask(engine, *arguments)
    if answer.returncode != 0:
        error: OutsideError = failed(engine, answer.stderr, of=f"{engine} {' '.join(arguments[:2])}", hint=f"{engine} info")
        raise error
    return answer.stdout


def _bare(identity: str) -> str:
    return identity.removeprefix("sha256:")

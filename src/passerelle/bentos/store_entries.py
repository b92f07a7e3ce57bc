"""What the BentoML store holds of passerelle's, and its removal: each entry goes in one step, under the store's lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from passerelle.bentos.store import Store
from passerelle.names import ARTIFACT_DIGEST, REGISTERED_MODEL_LABEL, RUN_ID_LABEL, VERSION_LABEL, BentoTag, ModelVersionRef

Kind = Literal["bentos", "models"]


@dataclass(frozen=True)
class StoreEntry:
    """A bento model or a bento that import or build wrote."""

    kind: Kind
    tag: BentoTag
    ref: ModelVersionRef
    path: Path

    def size_bytes(self) -> int:
        """Return what its files take."""
        return sum(each.lstat().st_size for each in self.path.rglob("*") if not each.is_dir())


def store_entries(store: Store) -> tuple[StoreEntry, ...]:
    """Return the bentos and the bento models that carry passerelle's labels: a bento goes before its model."""
    return (*_entries(store, "bentos"), *_entries(store, "models"))


def _entries(store: Store, kind: Kind) -> Iterator[StoreEntry]:
    for each in store.bentos.list() if kind == "bentos" else store.models.list():
        ref = labelled_version(each.info.labels) if ARTIFACT_DIGEST in each.info.labels else None
        if ref is not None:
            yield StoreEntry(kind, BentoTag(each.tag.name, str(each.tag.version)), ref, Path(each.path))


def labelled_version(labels: dict[str, str]) -> ModelVersionRef | None:
    """Return the model version that labels of a bento model, a bento or an image name; None where they name none."""
    name, version = labels.get(REGISTERED_MODEL_LABEL), labels.get(VERSION_LABEL, "")
    if not name or not (version.isascii() and version.isdecimal() and len(version) < 10):  # noqa: PLR2004 - as many digits as a version of MLflow has
        return None
    return ModelVersionRef(name, int(version), labels.get(RUN_ID_LABEL, ""))


def models_of_foreign_bentos(store: Store) -> frozenset[BentoTag]:
    """Return the models that bentos without passerelle's labels hold: plain `bentoml build` writes such."""
    foreign = (bento for bento in store.bentos.list() if ARTIFACT_DIGEST not in bento.info.labels)
    return frozenset(BentoTag(each.tag.name, str(each.tag.version)) for bento in foreign for each in bento.info.all_models)


def remove_entry(store: Store, entry: StoreEntry, staging: Path) -> None:
    """Take an entry out of the store in one step; its files are deleted with the staging folder, by the next import if this process dies.

    Args:
        staging: From `Store.staging`, which holds the lock of imports and builds.
    """
    entry.path.rename(staging / f"{entry.kind}-{entry.tag.name}-{entry.tag.version}")
    _mend_latest(store, entry)


def _mend_latest(store: Store, entry: StoreEntry) -> None:
    """Let BentoML's own `latest` name an entry that is there."""
    folder = store.home / entry.kind / entry.tag.name
    pointer = folder / "latest"
    if not pointer.is_file() or pointer.read_text().strip() != entry.tag.version:
        return
    entries = store.bentos.list(entry.tag.name) if entry.kind == "bentos" else store.models.list(entry.tag.name)
    newest = max(entries, key=lambda each: each.creation_time, default=None)
    if newest is None:
        pointer.unlink()
    else:
        pointer.write_text(str(newest.tag.version))

"""The BentoML store of the settings: looked into, and changed only in one step."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import bentoml
from bentoml._internal.bento.bento import BentoStore
from bentoml._internal.models.model import ModelStore
from bentoml.exceptions import BentoMLException, NotFound
from filelock import FileLock, Timeout

from passerelle.errors import BusyError, OutsideError
from passerelle.names import BentoTag
from passerelle.settings import StoreSettings

#: Labels by which passerelle knows its own bento models and bentos.
LABEL_PREFIX = "passerelle."
ARTIFACT_DIGEST = "passerelle.artifact_digest"
CODE_DIGEST = "passerelle.code_digest"
_STAGING = ".passerelle-staging"
_LOCK_TIMEOUT_S = 300.0


class Store:
    """One BentoML home.

    Args:
        settings: Names the home folder.
    """

    def __init__(self, settings: StoreSettings) -> None:
        if settings.bentoml_home is None:
            raise OutsideError("no BentoML store is named", hint='eval "$(passerelle env)", or set BENTOML_HOME')
        self.home = settings.bentoml_home.resolve()
        for folder in ("models", "bentos"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self.models = ModelStore(self.home / "models")
        self.bentos = BentoStore(self.home / "bentos")

    def model(self, tag: BentoTag) -> bentoml.Model | None:
        """Return the bento model of this tag, or None."""
        try:
            return self.models.get(str(tag))
        except (NotFound, BentoMLException):
            return None

    def bento(self, tag: BentoTag) -> bentoml.Bento | None:
        """Return the bento of this tag, or None."""
        try:
            return self.bentos.get(str(tag))
        except (NotFound, BentoMLException):
            return None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty folder on the store's own disk, under the store's lock; whatever is left in it is removed.

        What a killed process left behind is swept by the next one, which alone holds the lock.

        Raises:
            BusyError: Another import or build holds the store for longer than five minutes.
        """
        lock = FileLock(self.home / ".passerelle.lock")
        try:
            lock.acquire(timeout=_LOCK_TIMEOUT_S)
        except Timeout:
            raise BusyError(f"another import or build works in {self.home}", hint="wait for it, then the same command again") from None
        folder = self.home / _STAGING
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()

    def publish(self, made: Path, kind: str, tag: BentoTag) -> Path:
        """Move a finished folder to its place in one step, and let `latest` name it; return where it is."""
        name_folder = self.home / kind / tag.name
        name_folder.mkdir(parents=True, exist_ok=True)
        place = name_folder / tag.version
        if place.exists():
            # A folder cannot be replaced in one step: the old one steps aside, and is swept with the staging folder.
            place.rename(self.home / _STAGING / f"former-{tag.version}")
        made.rename(place)
        self.select(kind, tag)
        return place

    def select(self, kind: str, tag: BentoTag) -> None:
        """Let `latest` name one that is there, as if it had been made now: what was carried last is what the next stage takes."""
        pointer = self.home / _STAGING / "latest"
        pointer.write_text(tag.version)
        pointer.replace(self.home / kind / tag.name / "latest")


def latest_bento_model(settings: StoreSettings) -> BentoTag | None:
    """Return the tag of the bento model imported last, or None."""
    store = Store(settings)
    models = [model for model in store.models.list() if ARTIFACT_DIGEST in model.info.labels]
    return _latest(store.home / "models", [BentoTag(model.tag.name, str(model.tag.version)) for model in models])


def bentos_of(settings: StoreSettings) -> tuple[BentoTag, ...]:
    """Return the tags of all bentos of ours."""
    bentos = [bento for bento in Store(settings).bentos.list() if ARTIFACT_DIGEST in bento.info.labels]
    return tuple(BentoTag(bento.tag.name, str(bento.tag.version)) for bento in bentos)


def latest_bento(settings: StoreSettings) -> BentoTag | None:
    """Return the tag of the bento built last, or None."""
    return _latest(Store(settings).home / "bentos", bentos_of(settings))


def _latest(folder: Path, ours: Collection[BentoTag]) -> BentoTag | None:
    """Return the one that BentoML's `latest` names; of several names, the one whose pointer was written last."""
    named = []
    for pointer in folder.glob("*/latest"):
        tag = BentoTag(pointer.parent.name, pointer.read_text().strip())
        if tag in ours:
            named.append((pointer.stat().st_mtime_ns, tag))
    return max(named, key=lambda each: each[0])[1] if named else None

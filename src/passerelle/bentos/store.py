"""The BentoML store of the settings: read, and changed atomically."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import bentoml
from bentoml._internal.bento.bento import BentoStore
from bentoml._internal.models.model import ModelStore
from bentoml.exceptions import BentoMLException, NotFound
from filelock import FileLock, Timeout

from passerelle.errors import BusyError, NotFoundError, OutsideError, UsageError
from passerelle.names import ARTIFACT_DIGEST, BentoTag
from passerelle.settings import StoreSettings

_STAGING = ".passerelle-staging"
_LOCK_TIMEOUT_S = 300.0


class Store:
    """One BentoML home.

    Args:
        settings: Names the home folder.
    """

    def __init__(self, settings: StoreSettings) -> None:
        if settings.bentoml_home is None:
            raise OutsideError("no BentoML store is named: BENTOML_HOME is not set", hint='eval "$(passerelle env)"')
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

    def model_of(self, bento_tag: BentoTag) -> bentoml.Model:
        """Return the bento model of a bento, which has the same tag.

        Raises:
            NotFoundError: The model is gone from the store.
        """
        model = self.model(bento_tag)
        if model is None:
            message = f"the model of the bento {bento_tag} is gone from the BentoML store"
            raise NotFoundError(message, hint="passerelle import; passerelle build")
        return model

    def bento(self, tag: BentoTag) -> bentoml.Bento | None:
        """Return the bento of this tag, or None."""
        try:
            return self.bentos.get(str(tag))
        except (NotFound, BentoMLException):
            return None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty folder on the store's own disk, under the store's lock; whatever is left in it is removed.

        Files that a killed process left are deleted by the next one, which holds the lock.

        Raises:
            BusyError: Another import or build holds the store for longer than five minutes.
        """
        lock = FileLock(self.home / ".passerelle.lock")
        try:
            lock.acquire(timeout=_LOCK_TIMEOUT_S)
        except Timeout:
            raise BusyError(
                f"another import or build has worked in {self.home} for {_LOCK_TIMEOUT_S:.0f} s; run this command again once it has ended"
            ) from None
        folder = self.home / _STAGING
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()

    def publish(self, folder: Path, kind: str, tag: BentoTag) -> Path:
        """Move a finished folder to its place in one step, and let `latest` name it; return where it is."""
        name_folder = self.home / kind / tag.name
        name_folder.mkdir(parents=True, exist_ok=True)
        place = name_folder / tag.version
        if place.exists():
            # A folder cannot be replaced in one step: the old one is moved into the staging folder first, and deleted with it.
            place.rename(self.home / _STAGING / f"former-{tag.version}")
        folder.rename(place)
        self.select(kind, tag)
        return place

    def select(self, kind: str, tag: BentoTag) -> None:
        """Let `latest` name an existing one, as if it had been made now: the next stage takes the one that was handled last.

        Plain `bentoml build` moves BentoML's `latest` too, hence a separate pointer.
        """
        for place, content in ((self.home / kind / tag.name / "latest", tag.version), (self.home / _pointer(kind), str(tag))):
            pointer = self.home / _STAGING / "latest"
            pointer.write_text(content)
            pointer.replace(place)


def latest_bento_model(settings: StoreSettings) -> BentoTag | None:
    """Return the tag of the bento model imported last, or None."""
    store = Store(settings)
    ours = [model for model in store.models.list() if ARTIFACT_DIGEST in model.info.labels]
    return _latest(store, "models", {BentoTag(each.tag.name, str(each.tag.version)): each.info.creation_time for each in ours})


def bentos_of(settings: StoreSettings) -> tuple[BentoTag, ...]:
    """Return the tags of all bentos of ours."""
    return tuple(_bentos(Store(settings)))


def latest_bento(settings: StoreSettings) -> BentoTag | None:
    """Return the tag of the bento built last, or None."""
    store = Store(settings)
    return _latest(store, "bentos", _bentos(store))


def _bentos(store: Store) -> dict[BentoTag, datetime]:
    ours = [bento for bento in store.bentos.list() if ARTIFACT_DIGEST in bento.info.labels]
    return {BentoTag(each.tag.name, str(each.tag.version)): each.info.creation_time for each in ours}


def _pointer(kind: str) -> str:
    return f".passerelle-latest-{kind}"


def _latest(store: Store, kind: str, ours: Mapping[BentoTag, datetime]) -> BentoTag | None:
    """Return the one that was selected last; if it is gone, the one made last."""
    try:
        selected = BentoTag.parse((store.home / _pointer(kind)).read_text())
    except (OSError, UsageError):
        selected = None
    return selected if selected in ours else max(ours, key=ours.__getitem__, default=None)

"""The BentoML store of the settings: read, and changed atomically."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import bentoml
from bentoml._internal.bento.bento import BentoStore
from bentoml._internal.models.model import ModelStore
from bentoml.exceptions import BentoMLException, NotFound
from filelock import FileLock, Timeout

from passerelle.errors import BusyError, NotFoundError, OutsideError, UsageError
from passerelle.names import ARTIFACT_DIGEST, REGISTERED_MODEL_LABEL, BentoTag, bento_name
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
        pointers = (
            (self.home / kind / tag.name / "latest", tag.version),
            *((self.home / each, str(tag)) for each in _pointers(kind, tag.name)),
        )
        for place, content in pointers:
            pointer = self.home / _STAGING / "latest"
            pointer.write_text(content)
            pointer.replace(place)


def latest_bento_model(settings: StoreSettings, registered_model: str | None = None) -> BentoTag | None:
    """Return the tag of the bento model imported last, of this registered model or of any, or None."""
    store = Store(settings)
    return _latest(store, "models", _models(store), registered_model)


def bentos_of(settings: StoreSettings, registered_model: str | None = None) -> tuple[BentoTag, ...]:
    """Return the tags of all bentos of ours, of this registered model or of any."""
    return tuple(_of(registered_model, _bentos(Store(settings))))


def latest_bento(settings: StoreSettings, registered_model: str | None = None) -> BentoTag | None:
    """Return the tag of the bento built last, of this registered model or of any, or None."""
    store = Store(settings)
    return _latest(store, "bentos", _bentos(store), registered_model)


def models_in_store(settings: StoreSettings, kind: Literal["models", "bentos"] = "models") -> tuple[str, ...]:
    """Return the names of the registered models that the store holds bento models of, or bentos."""
    store = Store(settings)
    entries = store.models.list() if kind == "models" else store.bentos.list()
    labels = [entry.info.labels for entry in entries]
    return tuple(
        sorted({label[REGISTERED_MODEL_LABEL] for label in labels if ARTIFACT_DIGEST in label and REGISTERED_MODEL_LABEL in label})
    )


def registered_model_of(settings: StoreSettings, tag: BentoTag) -> str:
    """Return the name of the registered model of a bento model or bento, or that of the tag where its model does not say."""
    model = Store(settings).model(tag)
    return str(model.info.labels.get(REGISTERED_MODEL_LABEL, tag.name)) if model else tag.name


def _models(store: Store) -> dict[BentoTag, datetime]:
    ours = [model for model in store.models.list() if ARTIFACT_DIGEST in model.info.labels]
    return {BentoTag(each.tag.name, str(each.tag.version)): each.info.creation_time for each in ours}


def _bentos(store: Store) -> dict[BentoTag, datetime]:
    ours = [bento for bento in store.bentos.list() if ARTIFACT_DIGEST in bento.info.labels]
    return {BentoTag(each.tag.name, str(each.tag.version)): each.info.creation_time for each in ours}


def _of(registered_model: str | None, tags: Mapping[BentoTag, datetime]) -> dict[BentoTag, datetime]:
    return {tag: when for tag, when in tags.items() if registered_model is None or tag.name == bento_name(registered_model)}


def _pointers(kind: str, name: str) -> tuple[str, str]:
    """Return the files that name the one selected last of this name, and of all."""
    return f".passerelle-latest-{kind}-{name}", f".passerelle-latest-{kind}"


def _latest(store: Store, kind: str, ours: Mapping[BentoTag, datetime], registered_model: str | None) -> BentoTag | None:
    """Return the one that was selected last; if it is gone, the one made last."""
    ours = _of(registered_model, ours)
    for pointer in _pointers(kind, bento_name(registered_model)) if registered_model is not None else _pointers(kind, "")[1:]:
        try:
            selected = BentoTag.parse((store.home / pointer).read_text())
        except (OSError, UsageError):
            continue
        if selected in ours:
            return selected
    return max(ours, key=ours.__getitem__, default=None)

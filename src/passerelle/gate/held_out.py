"""The files for the gate: those of a version, and those that its training stored of its data, each checked against the registration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError
from passerelle.model.adoption import Adoption, Task, read_adoption
from passerelle.model.manifest import check_manifest, digest_of_file
from passerelle.names import ADOPTION_RUN, ARTIFACT_DIGEST, DIGEST_PARAM, GOLDEN, HELD_OUT, MANIFEST, TRAIN_HASHES, ModelVersionRef
from passerelle.registry import version_files
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.recorded_origin import logged_differences
from passerelle.registry.training_data import TRAINING, training_of

_UNREADABLE = (ArrowException, ValueError, TypeError, LookupError, AttributeError, RuntimeError, EOFError, OSError)
LABEL = "label"


@dataclass(frozen=True)
class VersionFiles:
    """A version's files on this disk.

    Attributes:
        folder: The model's directory.
        training: The run that holds what the training left of its data.
        recorded: Digest of each of those files at registration; empty where it was not recorded.
        golden: The golden predictions; None of an older version without digests.
        adoption: What adoption recorded; None of a version that was registered by passerelle.
    """

    ref: ModelVersionRef
    folder: Path
    training: str
    recorded: Mapping[str, str]
    golden: Path | None = None
    adoption: Adoption | None = None

    @property
    def task(self) -> Task:
        """What the model does with a record; passerelle itself registers classifiers alone."""
        return self.adoption.task if self.adoption else "classification"

    @property
    def size_bytes(self) -> float:
        """Size of the model's files."""
        return float(sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file()))


def download_version(registry: Registry, ref: ModelVersionRef, folder: Path) -> VersionFiles:
    """Return the version's files, downloaded and compared with what was registered.

    An older version without digests cannot be checked.

    Raises:
        IntegrityError: A file differs, is missing or was added; names the version and the file.
        NotFoundError: The version, its run or its manifest is gone.
    """
    version = registry.model_version(ref.registered_model, ref.version)
    if ADOPTION_RUN in version.tags:
        return _adopted(registry, version, folder)
    training = training_of(registry, version.ref.run_id)
    model = registry.download_model(ref, folder / "model")
    digest = version.tags.get(ARTIFACT_DIGEST)
    if digest is None:
        return VersionFiles(version.ref, model, training, {})
    try:
        manifest = registry.read_json(version.ref.run_id, MANIFEST)
        golden = registry.run_artifact(version.ref.run_id, GOLDEN, folder / "beside")
        check_manifest(model, golden, manifest, expected_digest=digest)
        _check_logged(registry, version, manifest)
    except IntegrityError as error:
        raise IntegrityError(f"{ref}: {error.message}", hint=error.hint) from error
    return VersionFiles(version.ref, model, training, dict(manifest.get(TRAINING, {})), golden)


def _check_logged(registry: Registry, version: VersionInfo, manifest: Mapping[str, object]) -> None:
    """Check that the files are those that training logged, however consistently the manifest and the tags were replaced with them.

    Raises:
        IntegrityError: Names the first that is not.
    """
    with suppress(NotFoundError):  # of a run that is gone nobody knows what it logged
        for each in logged_differences(registry, registry.run(version.ref.run_id), manifest):
            raise IntegrityError(f"{each.name.removeprefix(DIGEST_PARAM)} is not what training logged", hint=TRAIN_AGAIN)


def _adopted(registry: Registry, version: VersionInfo, folder: Path) -> VersionFiles:
    """Return the files of an adopted version, with what adoption recorded beside its model."""
    ref, again = version.ref, f"passerelle adopt models:/{version.ref.registered_model}/{version.ref.version}"
    try:
        files = version_files.download_version(registry, version, folder)
        manifest = registry.read_json(ref.run_id, MANIFEST)
        check_manifest(files.model, files.golden, manifest, expected_digest=version.tags.get(ARTIFACT_DIGEST, ""))
        adoption = read_adoption(folder)
    except IntegrityError as error:
        raise IntegrityError(f"{ref}: {error.message}", hint=f"{again}\npasserelle rollback") from error
    except NotFoundError as error:
        raise IntegrityError(f"what adoption recorded of {ref} is not all there: {error.message}", hint=again) from error
    return VersionFiles(ref, files.model, _training_of_model(registry, version), {}, files.golden, adoption)


def _training_of_model(registry: Registry, version: VersionInfo) -> str:
    """Return the training that the run which logged the model belongs to; the run of the adoption where there is none any more."""
    if version.logged_by:
        with suppress(NotFoundError):
            return training_of(registry, version.logged_by)
    return version.ref.run_id


def held_out(registry: Registry, files: VersionFiles, folder: Path) -> pd.DataFrame:
    """Return the labelled rows that the version's training held out.

    Raises:
        NotFoundError: It stored none.
        IntegrityError: They are not those of the registration, or cannot be read.
    """
    try:
        path = _as_recorded(registry, files, HELD_OUT, folder)
    except NotFoundError as error:
        message = f"the training {files.training} of {files.ref} holds no {HELD_OUT}: nothing to judge by"
        raise NotFoundError(message, hint="passerelle train --again; passerelle register") from error
    with _readable(files, HELD_OUT):
        table = pd.read_parquet(path)
    if table.empty or LABEL not in table:
        raise IntegrityError(f"{HELD_OUT} of the training {files.training} holds no labelled rows", hint=TRAIN_AGAIN)
    return table


def train_hashes(registry: Registry, files: VersionFiles, folder: Path) -> frozenset[str] | None:
    """Return the hashes of the rows that the version learned from; None if its training stored none.

    Raises:
        IntegrityError: They are not those of the registration, or cannot be read.
    """
    try:
        path = _as_recorded(registry, files, TRAIN_HASHES, folder)
    except NotFoundError:
        return None
    with _readable(files, TRAIN_HASHES):
        rows = json.loads(path.read_bytes())["rows"]
        if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
            raise ValueError("not a list of hashes")
        return frozenset(rows)


def _as_recorded(registry: Registry, files: VersionFiles, name: str, folder: Path) -> Path:
    path = registry.run_artifact(files.training, name, folder)
    if files.recorded.get(name, digest := digest_of_file(path)) != digest:
        message = f"{name} of the training {files.training} is not the one that {files.ref} was registered with"
        raise IntegrityError(message, hint=TRAIN_AGAIN)
    return path


@contextmanager
def _readable(files: VersionFiles, name: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        # The message of a parser may quote a row.
        message = f"{name} of the training {files.training} cannot be read: {type(error).__name__}"
        raise IntegrityError(message, hint=TRAIN_AGAIN) from None

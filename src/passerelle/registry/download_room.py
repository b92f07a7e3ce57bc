"""Whether this machine has room for the files of a model, before they are downloaded."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from passerelle.errors import OutsideError, PasserelleError
from passerelle.registry.client import Registry

#: The files, and the archive of them for services that follow the registry.
_COPIES = 2
#: Folders that are asked about; what lies in others is not counted.
_MOST_FOLDERS = 100
_GIB = 2**30


def check_room(registry: Registry, source: str, into: Path) -> None:
    """Check that the files at an address find room beside the folder; what a store does not say of their sizes is not counted.

    Raises:
        OutsideError: They do not.
    """
    size, free = _size(registry, source), shutil.disk_usage(into).free
    if size * _COPIES > free:
        message = (
            f"the files at {source} take {size / _GIB:.1f} GiB, and twice that is needed: {into.parent} has {free / _GIB:.1f} GiB free"
        )
        raise OutsideError(message, hint="TMPDIR=FOLDER passerelle adopt models:/NAME/VERSION")


def _size(registry: Registry, source: str) -> int:
    """Return the bytes of all files at an address, as far as their store says; the download says what stands in its way."""
    size = 0
    with suppress(PasserelleError, MlflowException, ImportError), registry.mlflow(f"the files at {source}", artifacts=True):
        repository: ArtifactRepository = get_artifact_repository(source, registry.settings.tracking_uri)
        folders = [""]
        for place in range(_MOST_FOLDERS):
            if place >= len(folders):
                break
            for each in repository.list_artifacts(folders[place] or None):
                if each.is_dir:
                    folders.append(each.path)
                size += each.file_size or 0
    return size

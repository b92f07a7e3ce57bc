"""The files of a version on this machine: the model's own, and beside them what registration or adoption kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import NotFoundError, OutsideError
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE
from passerelle.names import ADOPTION_RUN, GOLDEN, MODEL_FOLDER
from passerelle.registry.client import Registry, VersionInfo

_MODEL_FILE = "MLmodel"


@dataclass(frozen=True)
class DownloadedVersion:
    """Where the files lie.

    Attributes:
        model: The model's directory, named as in a bento model.
        golden: The file of the golden predictions, beside it; of an adopted version, the record and its requirements lie there too.
    """

    model: Path
    golden: Path


def download_version(registry: Registry, version: VersionInfo, into: Path) -> DownloadedVersion:
    """Download the files of a registered or adopted version.

    Args:
        into: An empty folder.

    Raises:
        NotFoundError: A file is gone.
        OutsideError: MLflow or S3 does not answer, or the model lies in a store that is not configured here.
    """
    model = download_model(registry, version, into)
    kept = (GOLDEN, ADOPTION_FILE, LOCK_FILE) if ADOPTION_RUN in version.tags else (GOLDEN,)
    for name in kept:
        registry.run_artifact(version.ref.run_id, name, into)
    return DownloadedVersion(model, into / GOLDEN)


def download_model(registry: Registry, version: VersionInfo, into: Path) -> Path:
    """Download the model's directory into the folder, under the name that it has in a bento model, and return where it is."""
    return _moved(registry.download_model(version.ref, into / "download"), into, of=str(version.ref), source=version.source)


def download_source(registry: Registry, source: str, into: Path) -> Path:
    """As `download_model`, of a model that is no version yet."""
    return _moved(registry.download(source, into / "download"), into, of=f"the model {source}", source=source)


def _moved(folder: Path, into: Path, *, of: str, source: str) -> Path:
    if not (folder / _MODEL_FILE).is_file():
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) if folder.is_dir() else ""
        message = f"{of} has no files of a model: at {source} there is {found or 'nothing'}, and no {_MODEL_FILE}; log the model again"
        raise NotFoundError(message, hint="passerelle adopt models:/NAME/VERSION\npasserelle adopt runs:/RUN_ID")
    target = into / MODEL_FOLDER
    folder.rename(target)
    return target


def explained(error: OutsideError, *, of: str, source: str) -> OutsideError:
    """Return the error with the address of the files in it: they may lie in a store that is not configured here."""
    return OutsideError(f"the files of {of} at {source} cannot be read from here: {error.message}", hint=error.hint)

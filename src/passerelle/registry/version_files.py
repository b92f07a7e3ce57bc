"""The files of a version on this machine: the model's own, and beside them what registration or adoption kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import NotFoundError, OutsideError
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE
from passerelle.names import ADOPTION_RUN, GOLDEN, MODEL_FOLDER
from passerelle.registry.client import Registry, VersionInfo

_MODEL_FILE = "MLmodel"
#: What the readers of stores say of an object that is not there.
_MISSING = ("(404)", "NoSuchKey", "No such artifact", "NoSuchFile")


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
    """Download the model's directory into the folder, under the name that it has in a bento model, and return where it is.

    Raises:
        NotFoundError: There are no files of a model.
        OutsideError: MLflow or S3 does not answer, or the model lies in a store that is not configured here.
    """
    of = str(version.ref)
    with _named(of, version.source):
        folder = registry.download_model(version.ref, into / "download")
    return _moved(folder, into, of=of, source=version.source)


def download_source(registry: Registry, source: str, into: Path) -> Path:
    """As `download_model`, of a model that is no version yet."""
    of = f"the model {source}"
    with _named(of, source):
        folder = registry.download(source, into / "download")
    return _moved(folder, into, of=of, source=source)


@contextmanager
def _named(of: str, source: str) -> Iterator[None]:
    """Let the failure of a download say where the files are said to lie: it may be a store that is not configured here."""
    try:
        yield
    except ImportError as error:
        message = f"the files of {of} at {source} cannot be read from here: the package that reads such a store is not installed"
        raise OutsideError(f"{message} ({error})", hint="pip install 'mlflow[extras]'") from error
    except OutsideError as error:
        if any(sign in str(error.__cause__) for sign in _MISSING):
            raise _without_files(of, source) from error
        raise OutsideError(f"the files of {of} at {source} cannot be read from here: {error.message}", hint=error.hint) from error


def _moved(folder: Path, into: Path, *, of: str, source: str) -> Path:
    if not (folder / _MODEL_FILE).is_file():
        raise _without_files(of, source)
    target = into / MODEL_FOLDER
    folder.rename(target)
    return target


def _without_files(of: str, source: str) -> NotFoundError:
    message = f"{of} has no files of a model: at {source} there is no {_MODEL_FILE}; log the model again"
    return NotFoundError(message, hint="passerelle adopt models:/NAME/VERSION\npasserelle adopt runs:/RUN_ID")

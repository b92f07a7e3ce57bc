"""Whether a downloaded model may stand in for the one that is served."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.errors import DamagedFileError, NotFoundError, PasserelleError
from passerelle.model.adoption import LOCK_FILE
from passerelle.model.environment import interpreter
from passerelle.model.manifest import digest_of_file
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.model.mlmodel_content import mlmodel_content
from passerelle.model.record import Column
from passerelle.names import MODEL_FOLDER, SCORER_FOLDER
from passerelle.serving.failure import lacks_memory, loading_failure
from passerelle.serving.following.failures import VersionRefusedError
from passerelle.settings import LoadingSettings

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel

#: What accepts all values of a type, beside the type itself.
_WIDER: Mapping[str, frozenset[str]] = {"integer": frozenset({"long"}), "float": frozenset({"double"})}
#: What a pipeline is unpickled with.
_LIBRARY = "scikit-learn"
_DEPLOY = "passerelle import; passerelle build; passerelle containerize; passerelle deploy"
_TRAIN = "passerelle train --again; passerelle register; passerelle promote"


def accepted(
    folder: Path,
    served: ModelDescription,
    task: str | None,
    lineage: Mapping[str, object],
    *,
    most_cpu_ms: float,
    bento_model: Path | None = None,
) -> LoadedModel:
    """Return the model of a downloaded version, loaded and held to its golden predictions.

    Args:
        folder: Laid out as a bento model's directory, with its lineage.
        served: What the clients of the service send records for; without columns before the first version of a model.
        task: What the served model was trained for; None where that is not known.
        lineage: Of the downloaded version.
        most_cpu_ms: The most processor time of one prediction, in milliseconds.
        bento_model: The directory of the bento's own model, which says of which environment the image is.

    Raises:
        VersionRefusedError: The version cannot stand in for the one that is served; says why.
    """
    from passerelle.model.loaded import load_model  # noqa: PLC0415 - only a worker loads models

    _check_training_task(task, lineage.get("task"))
    try:
        _check_fits(folder, served, bento_model)
        model = load_model(folder, scorer_alone=True)
    except VersionRefusedError:
        raise
    except Exception as error:
        raise _refusal(error, folder) from error
    try:
        _check_speed(model, most_cpu_ms)
    except BaseException:
        model.close()
        raise
    return model


def _check_training_task(served: str | None, offered: object) -> None:
    if served and offered and served != offered:
        message = f"the version was trained for the task {offered!r}, and the service answers {served!r}"
        raise VersionRefusedError("task", message, hint=_TRAIN)


def _refusal(error: Exception, folder: Path) -> VersionRefusedError:
    """Return the refusal of a version whose load failed; its code says whether that may pass."""
    if isinstance(error, OSError) or lacks_memory(error):
        return VersionRefusedError.of("resources", loading_failure(error, folder))
    if isinstance(error, PasserelleError):
        return VersionRefusedError.of(error.code, error)
    return VersionRefusedError.of("load", loading_failure(error, folder))


def check_columns(served: Sequence[Column], offered: Sequence[Column]) -> None:
    """Check that a model with the offered columns takes every record that one with the served columns takes.

    Raises:
        VersionRefusedError: Names the first column that differs.
    """
    there = {column.name: column for column in offered}
    for column in served:
        other = there.pop(column.name, None)
        if other is None:
            raise _other_schema(column.name, "is missing")
        if other.type != column.type and other.type not in _WIDER.get(column.type, frozenset()):
            raise _other_schema(column.name, f"is {other.type}, and was {column.type}")
        if other.required and not column.required:
            raise _other_schema(column.name, "is required, and was optional")
    new = next((column.name for column in there.values() if column.required), None)
    if new is not None:
        raise _other_schema(new, "is required, and the service's clients do not send it")


def _other_schema(column: str, problem: str) -> VersionRefusedError:
    hint = "passerelle import; passerelle build; passerelle deploy"
    return VersionRefusedError("schema", f"the version takes other records: the column '{column}' {problem}", hint=hint)


def check_environment(folder: Path) -> None:
    """Check that the libraries and the Python that the model's pipeline needs are here; a compiled model needs none.

    Raises:
        VersionRefusedError: One is missing or another version.
    """
    if (folder / SCORER_FOLDER).is_dir():
        return
    python = _python_of(folder)
    if python and tuple(map(int, python.split(".")[:2])) > sys.version_info[:2]:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise VersionRefusedError("python", f"the version asks for Python {python}, and the service runs on {here}", hint=_DEPLOY)
    needed = describe(folder).libraries.get(_LIBRARY)
    if needed is None:
        return
    try:
        there = metadata.version(_LIBRARY)
    except metadata.PackageNotFoundError:
        raise VersionRefusedError(
            "libraries", f"the version needs {_LIBRARY} {needed}, which is not installed here", hint=_DEPLOY
        ) from None
    if there.split(".")[:2] != needed.split(".")[:2]:
        raise VersionRefusedError("libraries", f"the version was made by {_LIBRARY} {needed}, and {there} is installed here", hint=_DEPLOY)


def check_adopted_environment(folder: Path, bento_model: Path | None, settings: LoadingSettings | None = None) -> None:
    """Check that the environment that an adopted version runs in is here.

    Args:
        folder: Of the version, with its locked requirements.
        bento_model: As of `accepted`.
        settings: By default what the environment says.

    Raises:
        VersionRefusedError: It is not, or the image has the environment of other requirements.
    """
    settings = settings or LoadingSettings.read()
    if settings.model_python is None:
        try:
            interpreter(folder, settings)
        except NotFoundError:
            message = "the version was adopted, and the environment that its process runs in is not here: a service that was started for"
            raise VersionRefusedError("libraries", f"{message} another model cannot follow to it", hint=_DEPLOY) from None
        return
    locks = [place / LOCK_FILE for place in (settings.model_python.parents[1], bento_model) if place is not None]
    here = next((lock for lock in locks if lock.is_file()), None)
    if here is None or digest_of_file(here) != digest_of_file(folder / LOCK_FILE):
        message = "the version was adopted with other requirements than those of the environment in this image"
        raise VersionRefusedError("libraries", message, hint=_DEPLOY)


def _check_fits(folder: Path, served: ModelDescription, bento_model: Path | None) -> None:
    """Check environment, task and columns; raises as `accepted`."""
    offered = describe(folder / MODEL_FOLDER, scorer_alone=True)
    if offered.adoption is None:
        check_environment(folder / MODEL_FOLDER)
    else:
        check_adopted_environment(folder, bento_model)
    if served.columns:
        _check_task(served.task, offered.task)
        check_columns(served.columns, offered.columns)


def _check_task(served: str, offered: str) -> None:
    if served != offered:
        message = f"the version does another task, {offered}, and the service's clients ask for {served}"
        raise VersionRefusedError("task", message, hint=_DEPLOY)


def _python_of(folder: Path) -> str | None:
    """Return the Python version that the MLmodel file names."""
    try:
        version = str(mlmodel_content(folder)["flavors"]["python_function"]["python_version"])
    except (DamagedFileError, KeyError, TypeError):
        return None
    return version if all(part.isdigit() for part in version.split(".")[:2]) else None


def _check_speed(model: LoadedModel, most_cpu_ms: float) -> None:
    """Check the processor time of a prediction; the first replay of the golden predictions has warmed the model up."""
    took = []
    for record in model.golden.inputs[:20]:
        began = time.thread_time()
        model.rows([record])
        took.append((time.thread_time() - began) * 1_000)
    if statistics.median(took) > most_cpu_ms:
        message = f"a prediction takes {statistics.median(took):.1f} ms of processor time, and {most_cpu_ms:g} ms is the most"
        raise VersionRefusedError("latency", message, hint="export PASSERELLE_FOLLOW_MOST_CPU_MS=1000")

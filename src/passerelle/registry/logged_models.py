"""The models that a run logged: those of MLflow 3 by their ids, those of MLflow 2 by their paths among the run's artifacts."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from mlflow.entities import FileInfo, LoggedModel, Run
from mlflow.exceptions import MlflowException

from passerelle.errors import NotFoundError, UsageError, shell_word

#: MLflow's own tag of a run: what it logged, of MLflow 2.
HISTORY_TAG = "mlflow.log-model.history"
_MODEL_FILE = "MLmodel"


class RunReader(Protocol):
    """What is asked of MLflow's client about a run."""

    def get_run(self, run_id: str) -> Run:
        """Return the run."""

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """Return a logged model of MLflow 3."""

    def list_artifacts(self, run_id: str, path: str) -> list[FileInfo]:
        """Return the files and folders at a path among the run's artifacts."""


@dataclass(frozen=True)
class LoggedModelPlace:
    """One model that a run logged.

    Attributes:
        name: As the run names it: a name of MLflow 3, or a path of MLflow 2.
        source: Its address, as a version holds it.
        run_id: The run; empty where a model of MLflow 3 has none.
    """

    name: str
    source: str
    run_id: str


def logged_by(client: RunReader, run_id: str) -> tuple[LoggedModelPlace, ...]:
    """Return the models that the run logged, in its order; of several with the same name, the last."""
    run = client.get_run(run_id)
    found: dict[str, str] = {}
    for path in _paths_of_history(run.data.tags.get(HISTORY_TAG, "[]")):
        found[path] = f"{run.info.artifact_uri.rstrip('/')}/{path}"
    for output in run.outputs.model_outputs if run.outputs else ():
        with suppress(MlflowException):  # a model that was deleted since
            found[str(client.get_logged_model(output.model_id).name)] = f"models:/{output.model_id}"
    return tuple(LoggedModelPlace(name, source, run_id) for name, source in found.items())


def only_model(client: RunReader, run_id: str, path: str = "") -> LoggedModelPlace:
    """Return the model of this name or path that the run logged; without one, the only model.

    Raises:
        NotFoundError: The run logged none, or none of this name.
        UsageError: It logged several.
    """
    models = logged_by(client, run_id)
    names = ", ".join(sorted(model.name for model in models))
    if path:
        named = next((model for model in models if model.name == path.strip("/")), None) or _at_path(client, run_id, path.strip("/"))
        if named is None:
            hint = f"passerelle adopt runs:/{run_id}/{shell_word(models[-1].name)}" if models else "passerelle status"
            raise NotFoundError(f"the run {run_id} logged no model '{path}': it logged {names or 'none'}", hint=hint)
        return named
    if not models:
        raise NotFoundError(f"the run {run_id} logged no model", hint="passerelle adopt runs:/RUN_ID/PATH")
    if len(models) > 1:
        message = f"the run {run_id} logged {len(models)} models, of which one must be named: {names}"
        raise UsageError(message, hint=f"passerelle adopt runs:/{run_id}/{shell_word(models[-1].name)}")
    return models[0]


def by_id(client: RunReader, model_id: str) -> LoggedModelPlace:
    """Return a logged model of MLflow 3."""
    model = client.get_logged_model(model_id)
    return LoggedModelPlace(str(model.name), f"models:/{model_id}", str(model.source_run_id or ""))


def _at_path(client: RunReader, run_id: str, path: str) -> LoggedModelPlace | None:
    """Return the model below the run's artifacts that MLflow's own tag does not name: somebody copied it there."""
    entries = [entry.path.rpartition("/")[2] for entry in client.list_artifacts(run_id, path)]
    if _MODEL_FILE not in entries:
        return None
    artifacts = str(client.get_run(run_id).info.artifact_uri).rstrip("/")
    return LoggedModelPlace(path, f"{artifacts}/{path}", run_id)


def _paths_of_history(text: str) -> list[str]:
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        return [str(entry["artifact_path"]) for entry in json.loads(text) if "://" not in entry["artifact_path"]]
    return []

"""Where a logged model lies, and the address that people give of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus

from passerelle.registry.client import Registry

#: From the registry, a run and the address of its model to the address that is adopted.
Place = Callable[[Registry, str, str], str]


def logged_folder(folder: Path) -> None:
    """Log a model's directory in the current run, as a flavor's `log_model` does once it has written it."""
    run, client = mlflow.active_run(), MlflowClient()
    assert run is not None
    model = client.create_logged_model(run.info.experiment_id, "model", run.info.run_id)
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])


def _version(registry: Registry, source: str, run_id: str = "") -> str:
    return registry.create_version(registry.settings.registered_model, run_id, source, {}).uri


def _alias(registry: Registry, run_id: str, source: str) -> str:
    address = _version(registry, source, run_id)
    MlflowClient().set_registered_model_alias(registry.settings.registered_model, "chosen", address.rpartition("/")[2])
    return f"models:/{registry.settings.registered_model}@chosen"


def _copied(registry: Registry, run_id: str, source: str) -> str:
    copied = MlflowClient().copy_model_version(_version(registry, source, run_id), registry.settings.registered_model)
    return f"models:/{copied.name}/{copied.version}"


def _run_deleted(registry: Registry, run_id: str, source: str) -> str:
    address = _version(registry, source, run_id)
    MlflowClient().delete_run(run_id)
    return address


def _without_run(registry: Registry, run_id: str, source: str) -> str:
    return _version(registry, str(MlflowClient().get_logged_model(source.removeprefix("models:/")).artifact_location))


def _of_mlflow_2(registry: Registry, run_id: str, source: str) -> str:
    """Let the files lie among the artifacts of a run, as MLflow 2 logged them."""
    client = MlflowClient()
    with tempfile.TemporaryDirectory() as temporary, mlflow.start_run() as run:
        mlflow.artifacts.download_artifacts(source, dst_path=temporary)
        client.log_artifacts(run.info.run_id, temporary, "nested/of/model")
        client.set_tag(run.info.run_id, "mlflow.log-model.history", json.dumps([{"artifact_path": "nested/of/model"}]))
    client.delete_run(run_id)
    return _version(registry, f"{run.info.artifact_uri}/nested/of/model", run.info.run_id)


PLACES: Mapping[str, Place] = {
    "a version": lambda registry, run_id, source: _version(registry, source, run_id),
    "an alias": _alias,
    "a run": lambda _, run_id, __: f"runs:/{run_id}",
    "a run, by the model's name": lambda _, run_id, __: f"runs:/{run_id}/model",
    "a logged model": lambda _, __, source: source,
    "a copied version": _copied,
    "a version of a deleted run": _run_deleted,
    "a version without a run": _without_run,
    "a nested path of a run, MLflow 2": _of_mlflow_2,
}


def address_of(place: str, registry: Registry, log: Callable[[], Any]) -> str:
    """Log a model in a run of its own, put it in its place, and return its address there."""
    with mlflow.start_run() as run:
        log()
    source = "" if place.startswith("a run") else registry.model_uri(run.info.run_id)
    return PLACES[place](registry, run.info.run_id, source)

"""The datasets that a run of MLflow names, and the addresses of their data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import mlflow.artifacts

from passerelle.registry.client import Registry

_CONTEXT = "mlflow.data.context"


@dataclass(frozen=True)
class RunDataset:
    """A dataset that a run logged as its input.

    Attributes:
        name: As it was logged.
        context: What it was for, such as `training` or `eval`; empty where that was not logged.
        uri: Address of the data; empty where the run names none, as of a table that was made in a notebook.
    """

    name: str
    context: str
    uri: str


def datasets_of(registry: Registry, run_id: str) -> tuple[RunDataset, ...]:
    """Return the datasets of the run.

    Raises:
        NotFoundError: There is no such run.
    """
    with registry.mlflow(f"the run {run_id}") as client:
        inputs = client.get_run(run_id).inputs
    return tuple(
        RunDataset(each.dataset.name, next((tag.value for tag in each.tags if tag.key == _CONTEXT), ""), _uri(each.dataset.source))
        for each in (inputs.dataset_inputs if inputs else ())
    )


def download_file(registry: Registry, uri: str, destination: Path) -> Path:
    """Download one file, which may lie outside of the artifacts of any run, and return where it is.

    Raises:
        OutsideError: It is not there, or its store does not answer.
    """
    server = registry.settings.tracking_uri
    with registry.mlflow(f"the file at {uri}", artifacts=True):
        return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(destination), tracking_uri=server))


def _uri(source: str) -> str:
    try:
        found = json.loads(source)
    except (ValueError, RecursionError):
        return ""
    uri = found.get("uri", "") if isinstance(found, dict) else ""
    return uri if isinstance(uri, str) else ""

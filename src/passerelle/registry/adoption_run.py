"""The run that holds what passerelle keeps of an adopted version, in an experiment of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

from passerelle.errors import NotFoundError
from passerelle.names import ADOPTIONS, ARTIFACT_DIGEST, CONVERTED_FROM, KIND, REGISTERED_MODEL_LABEL, VERSION_LABEL, ModelVersionRef
from passerelle.registry.entities import having
from passerelle.registry.logged_models import HISTORY_TAG

if TYPE_CHECKING:
    from passerelle.registry.client import Registry

_ADOPTION = "adoption"
_CONVERSION = "conversion"
#: Where a converted model lies among the artifacts of its run.
_MODEL = "model"


def adoption_run(registry: Registry, ref: ModelVersionRef, digest: str, tags: Mapping[str, str]) -> str:
    """Return the id of the run of this adoption, made where there is none: what an interrupted adoption left is used again.

    Args:
        ref: The version that is adopted.
        digest: Of the manifest.
        tags: Further ones of a run that is made now.
    """
    keys = {KIND: _ADOPTION, REGISTERED_MODEL_LABEL: ref.registered_model, VERSION_LABEL: str(ref.version), ARTIFACT_DIGEST: digest}
    with registry.mlflow(f"the adoption of {ref}") as client:
        return _run_of(client, keys, tags, f"adoption of {ref}")


def conversion_run(registry: Registry, ref: ModelVersionRef, converted_from: str, model: Path) -> tuple[str, str]:
    """Write the files of a converted model into a run of the conversion; return the run's id, and where the files lie.

    Args:
        ref: The version that was converted.
        converted_from: As the tag of the new version says it.
        model: The directory of the converted model.
    """
    keys = {KIND: _CONVERSION, REGISTERED_MODEL_LABEL: ref.registered_model, CONVERTED_FROM: converted_from}
    with registry.mlflow(f"the conversion of {ref}", artifacts=True) as client:
        run_id = _run_of(client, keys, {}, f"conversion of {ref}")
        client.log_artifacts(run_id, str(model), _MODEL)
        client.set_tag(run_id, HISTORY_TAG, json.dumps([{"artifact_path": _MODEL, "run_id": run_id}]))
        client.set_terminated(run_id)
        return run_id, f"{str(client.get_run(run_id).info.artifact_uri).rstrip('/')}/{_MODEL}"


def _run_of(client: Any, keys: Mapping[str, str], tags: Mapping[str, str], name: str) -> str:
    """Return the id of the run with these tags, made with further ones where there is none."""
    experiment = _experiment(client)
    found = client.search_runs([experiment], having(keys), max_results=1, order_by=["attributes.start_time ASC"])
    if found:
        return str(found[0].info.run_id)
    return str(client.create_run(experiment, tags={**tags, **keys}, run_name=name).info.run_id)


def is_run_of(registry: Registry, ref: ModelVersionRef) -> bool:
    """Return whether the run of the reference is there and is that of this version: MLflow copies a version with all its tags."""
    try:
        tags = registry.run(ref.run_id).tags
    except NotFoundError:
        return False
    return (tags.get(REGISTERED_MODEL_LABEL), tags.get(VERSION_LABEL)) == (ref.registered_model, str(ref.version))


def end_adoption(registry: Registry, run_id: str) -> None:
    """Mark the run as finished."""
    with registry.mlflow(f"the run {run_id}") as client:
        client.set_terminated(run_id)


def _experiment(client: Any) -> str:
    found = client.get_experiment_by_name(ADOPTIONS)
    if found is None:
        try:
            return str(client.create_experiment(ADOPTIONS))
        except MlflowException as error:
            found = client.get_experiment_by_name(ADOPTIONS)  # somebody else may have made it just now
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
    return str(found.experiment_id)

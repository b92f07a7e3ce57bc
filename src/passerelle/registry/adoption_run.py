"""The run that holds what passerelle keeps of an adopted version, in an experiment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

from passerelle.errors import NotFoundError
from passerelle.names import ADOPTIONS, ARTIFACT_DIGEST, KIND, REGISTERED_MODEL_LABEL, VERSION_LABEL, ModelVersionRef

if TYPE_CHECKING:
    from passerelle.registry.client import Registry

_ADOPTION = "adoption"


def adoption_run(registry: Registry, ref: ModelVersionRef, digest: str, tags: Mapping[str, str]) -> str:
    """Return the id of the run of this adoption, made where there is none: what an interrupted adoption left is used again.

    Args:
        ref: The version that is adopted.
        digest: Of the manifest.
        tags: Further ones of a run that is made now.
    """
    keys = {KIND: _ADOPTION, REGISTERED_MODEL_LABEL: ref.registered_model, VERSION_LABEL: str(ref.version), ARTIFACT_DIGEST: digest}
    quoted = {name: value.replace("'", "''") for name, value in keys.items()}
    with registry.mlflow(f"the adoption of {ref}") as client:
        experiment = _experiment(client)
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in quoted.items())
        found = client.search_runs([experiment], query, max_results=1, order_by=["attributes.start_time ASC"])
        if found:
            return str(found[0].info.run_id)
        return str(client.create_run(experiment, tags={**tags, **keys}, run_name=f"adoption of {ref}").info.run_id)


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

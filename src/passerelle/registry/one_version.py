"""One version of a run in a registered model, also where two processes register it at the same moment."""

from __future__ import annotations

from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry


def first_of_run(registry: Registry, created: ModelVersionRef) -> ModelVersionRef:
    """Return the first version of the run in the registered model; one that was made just now and is not the first is deleted again.

    MLflow numbers versions one after the other, so that whoever made the later one sees the earlier.
    """
    numbers = [
        info.ref.version for info in registry.versions_of_run(created.run_id) if info.ref.registered_model == created.registered_model
    ]
    first = min(numbers, default=created.version)
    if first >= created.version:
        return created
    with registry.mlflow(str(created)) as client:
        client.delete_model_version(created.registered_model, str(created.version))
    return ModelVersionRef(created.registered_model, first, created.run_id)

"""Parameters of runs that hold digests of numbered objects in S3: MLflow lets nobody change or remove a parameter by its API."""

from __future__ import annotations

from contextlib import suppress

from passerelle.errors import NotFoundError
from passerelle.model.numbered_params import digests_by_number
from passerelle.registry.client import Registry


def numbered_digests(registry: Registry, run_id: str, prefix: str, registered_model: str) -> dict[int, str]:
    """Return the digests that the run's parameters hold, by number; none where there is no such run.

    Raises:
        OutsideError: MLflow does not answer.
    """
    with suppress(NotFoundError):
        return digests_by_number(registry.run(run_id).params, prefix, registered_model)
    return {}


def tell_run(registry: Registry, run_id: str, name: str, digest: str) -> None:
    """Write a parameter, unless the run was deleted; what somebody else wrote under its name stays.

    Raises:
        OutsideError: MLflow does not answer.
    """
    with suppress(NotFoundError), registry.mlflow(f"the run {run_id}") as client:
        run = client.get_run(run_id)
        if run.info.lifecycle_stage == "active" and name not in run.data.params:
            client.log_param(run_id, name, digest)

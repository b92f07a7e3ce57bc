"""Parameters of runs that hold digests of numbered objects in S3: MLflow lets nobody change or remove a parameter by its API."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress

from passerelle.errors import NotFoundError
from passerelle.registry.client import Registry


def numbered_param(prefix: str, registered_model: str, number: int | None = None) -> str:
    """Return the name of such a parameter, or what such names begin with; a run may be of several registered models."""
    whose = hashlib.sha256(registered_model.encode()).hexdigest()[:8]
    return f"{prefix}{whose}." + ("" if number is None else f"{number:06d}")


def numbered_digests(registry: Registry, run_id: str, prefix: str, registered_model: str) -> dict[int, str]:
    """Return the digests that the run's parameters hold, by number; none where there is no such run.

    Raises:
        OutsideError: MLflow does not answer.
    """
    pattern = re.compile(re.escape(numbered_param(prefix, registered_model)) + r"([0-9]{6})")
    with suppress(NotFoundError):
        named = ((pattern.fullmatch(name), digest) for name, digest in registry.run(run_id).params.items())
        return {int(match[1]): digest for match, digest in named if match}
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

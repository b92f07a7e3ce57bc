"""The run of a version that holds what was seen of it in production, a step a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from mlflow.entities import Metric

from passerelle.names import KIND, REGISTERED_MODEL_LABEL, VERSION_LABEL, ModelVersionRef
from passerelle.registry.entities import having

_MONITORING = "monitoring"
#: As many as MLflow takes in one request.
_MOST_METRICS = 1_000


def log_day(client: Any, ref: ModelVersionRef, figures: Mapping[str, float], *, day: date) -> str:
    """Log the figures at the step of the day, such as 20260131, and return the run's id; the run is made where there is none.

    The time of each is the day's end, so that the figures of a day that are logged again are the same rows to MLflow.

    Args:
        client: MLflow's own.
    """
    run_id = _run(client, ref)
    at = int(datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC).timestamp() * 1000)
    metrics = [Metric(name, value, at, int(day.strftime("%Y%m%d"))) for name, value in figures.items()]
    for first in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[first : first + _MOST_METRICS])
    return run_id


def _run(client: Any, ref: ModelVersionRef) -> str:
    experiment = client.get_run(ref.run_id).info.experiment_id
    tags = {KIND: _MONITORING, REGISTERED_MODEL_LABEL: ref.registered_model, VERSION_LABEL: str(ref.version)}
    found = client.search_runs([experiment], having(tags), max_results=1, order_by=["attributes.start_time ASC"])
    if found:
        return str(found[0].info.run_id)
    created = client.create_run(experiment, tags=tags, run_name=f"monitoring of {ref}")
    # Nothing runs; MLflow takes figures of a finished run too.
    client.set_terminated(created.info.run_id)
    return str(created.info.run_id)

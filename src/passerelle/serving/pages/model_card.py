"""The model card: what is served, where it comes from and what is recorded of it."""

from __future__ import annotations

from typing import Any

from passerelle.serving.runtime import Runtime

_LINEAGE = (
    "registered_model", "version", "run_id", "experiment", "candidate", "metrics", "data_digest",
    "git_commit", "criteria_digest", "artifact_digest", "libraries", "created",
)  # fmt: skip


def model_card(runtime: Runtime) -> dict[str, Any]:
    """Return the model card: what is served, where it comes from, its figures, when it was loaded, and the state of the prediction log.

    Raises:
        RequestError: 503 until a model is loaded.
    """
    model = runtime.ready()
    lineage = model.lineage
    return {
        **{key: lineage.get(key) for key in _LINEAGE},
        "classes": list(model.labels),
        "columns": [{"name": column.name, "type": column.type} for column in model.description.columns],
        "serving_since": model.since,
        "golden_predictions": len(model.golden.inputs),
        "largest_golden_difference": model.golden_difference,
        "compiled": model.scorer is not None,
        "not_compiled_because": model.not_compiled,
        "review_threshold": runtime.settings.review_threshold,
        "following": None if runtime.following is None else runtime.following_state(),
        "prediction_log": {"state": "off"} if runtime.prediction_log is None else runtime.prediction_log.state(),
    }

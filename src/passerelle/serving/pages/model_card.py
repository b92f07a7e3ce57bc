"""The model card: what is served, where it comes from and what is recorded of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from passerelle.model.mlmodel import ModelDescription
from passerelle.model.record import params_of
from passerelle.serving.runtime import Runtime

_LINEAGE = (
    "registered_model", "version", "run_id", "experiment", "candidate", "metrics", "data_digest",
    "git_commit", "criteria_digest", "artifact_digest", "libraries", "created",
)  # fmt: skip


def adoption_card(description: ModelDescription) -> dict[str, Any]:
    """Return what a model does, and of an adopted one what adoption recorded."""
    adoption = description.adoption
    if adoption is None:
        return {"adopted": False, "golden_origin": "training", "flavor": description.flavor, "task": description.task}
    return {
        "adopted": True,
        "golden_origin": adoption.golden_origin,
        "flavor": adoption.flavor,
        "task": adoption.task,
        "pickled": adoption.pickled,
        "python": adoption.python,
        "libraries": dict(adoption.libraries),
        "original_run": adoption.original_run,
        "params": [asdict(param) for param in params_of(description.signature)],
    }


def model_card(runtime: Runtime) -> dict[str, Any]:
    """Return the model card: what is served, where it comes from, its figures, when it was loaded, and the state of the prediction log.

    Raises:
        RequestError: 503 until a model is loaded.
    """
    model = runtime.ready()
    lineage, names = model.lineage, model.description.label_names
    return {
        **{key: lineage.get(key) for key in _LINEAGE},
        **adoption_card(model.description),
        "classes": list(model.labels),
        "class_names": None if names is None else [names.get(label) for label in model.labels],
        "columns": [{"name": column.name, "type": column.type} for column in model.description.columns],
        "serving_since": model.since,
        "golden_predictions": len(model.golden.inputs),
        "largest_golden_difference": model.golden_difference,
        "compiled": model.scorer is not None,
        "not_compiled_because": model.not_compiled,
        "review_threshold": runtime.settings.review_threshold,
        "following": None if runtime.following is None else runtime.following_state(),
        "live_candidate": None if runtime.rollout is None else runtime.rollout.readiness(),
        "prediction_log": {"state": "off"} if runtime.prediction_log is None else runtime.prediction_log.state(),
    }

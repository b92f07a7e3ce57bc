"""Versions that passerelle did not train, really logged and adopted, with this environment's interpreter in place of one of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models.signature import infer_signature

from passerelle.environments.lock import Locked
from passerelle.model.adoption import Task
from passerelle.model.golden import golden_content
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.stages import adopt as stage
from passerelle.stages.adopt_options import AdoptOptions
from passerelle.stages.adopt_trial import LoggedModel, Tried
from passerelle.stages.golden_inputs import GoldenInputs


def logged_version(registry: Registry, model: Any, table: pd.DataFrame, **logging: Any) -> ModelVersionRef:
    """Log a fitted scikit-learn model as a notebook does, and make it a version."""
    mlflow.set_tracking_uri(registry.settings.tracking_uri)
    mlflow.set_experiment(f"notebook-{registry.settings.registered_model}")
    with mlflow.start_run() as run:
        signature = infer_signature(table, model.predict(table))
        info = mlflow.sklearn.log_model(
            model, name="model", signature=signature, input_example=table.head(8), pip_requirements=["scikit-learn"], **logging
        )
    return registry.create_version(registry.settings.registered_model, run.info.run_id, info.model_uri, {})


def adopted_version(
    registry: Registry, ref: ModelVersionRef, model: Any, monkeypatch: pytest.MonkeyPatch, task: Task = "classification"
) -> ModelVersionRef:
    """Adopt the version by the real stage, but for two steps: no index is asked, and the fitted model is tried in this process."""

    def tried(logged: LoggedModel, inputs: GoldenInputs) -> Tried:
        table = pd.DataFrame([dict(record) for record in inputs.records])
        classes: Sequence[Any] = model.classes_.tolist() if hasattr(model, "classes_") else ()
        rows = model.predict_proba(table).tolist() if classes else None
        golden = golden_content(inputs.records, model.predict(table).tolist(), classes, rows)
        return Tried(replace(logged.draft, task=task), golden, tuple(classes))

    locked = Locked("# made by a test\n", f"{sys.version_info.major}.{sys.version_info.minor}", {"scikit-learn": "1.0"})
    monkeypatch.setenv("PASSERELLE_MODEL_PYTHON", sys.executable)
    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "any")
    monkeypatch.setattr(stage, "lock_for", lambda *_, **__: locked)
    monkeypatch.setattr(stage, "tried", tried)
    address = f"models:/{ref.registered_model}/{ref.version}"
    found = stage.adopt(registry, stage.AdoptionRequest(address, AdoptOptions(), who="test@here")).ref
    assert found is not None
    return found

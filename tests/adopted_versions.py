"""Versions that passerelle did not train, really logged, and adopted with the interpreter of this environment in place of one of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models.signature import infer_signature

from passerelle.environments.lock import Locked
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.stages import adopt as stage
from passerelle.stages.adopt_options import AdoptOptions


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
    registry: Registry, ref: ModelVersionRef, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, Any] | None = None
) -> ModelVersionRef:
    """Adopt the version by the real stage; only its requirements are not resolved, which takes an index."""
    locked = Locked("# made by a test\n", f"{sys.version_info.major}.{sys.version_info.minor}", {"scikit-learn": "1.0"})
    monkeypatch.setenv("PASSERELLE_MODEL_PYTHON", sys.executable)
    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "any")
    monkeypatch.setattr(stage, "lock_for", lambda *_, **__: locked)
    address = f"models:/{ref.registered_model}/{ref.version}"
    found = stage.adopt(registry, address, AdoptOptions(**(options or {})), who="test@here").ref
    assert found is not None
    return found

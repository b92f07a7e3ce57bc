"""A registry whose versions are adopted in the environment of the tests themselves, in place of one that uv makes for each model."""

from __future__ import annotations

import sys
import uuid

import pytest

from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings


@pytest.fixture
def adopting(platform: RunningPlatform, plain_environment: None, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registered model that nobody used, on the session's platform."""
    import mlflow

    from passerelle.environments.lock import Locked
    from passerelle.stages import adopt

    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "any")
    monkeypatch.setenv("PASSERELLE_MODEL_PYTHON", sys.executable)
    monkeypatch.setattr(adopt, "lock_for", lambda *_, **__: Locked("# nothing\n", "3.11", {"scikit-learn": "1"}))
    mlflow.set_tracking_uri(platform.tracking_uri)
    mlflow.set_experiment("notebooks")
    settings = MlflowSettings.read(tracking_uri=platform.tracking_uri, registered_model=f"adopted-{uuid.uuid4().hex[:8]}")
    return Registry(settings, platform.s3)

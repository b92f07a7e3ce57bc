"""A registry that MLflow 2.16 made, brought up to date as its operator does, and adopted from."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import mlflow
import pytest

from passerelle.environments.lock import Locked
from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings, StoreSettings
from passerelle.stages import adopt as stage
from passerelle.stages.adopt import AdoptionRequest, adopt
from passerelle.stages.adopt_options import AdoptOptions
from passerelle.stages.import_model import import_model
from tests.cached_environment import ROOT

pytestmark = pytest.mark.integration

MADE = ROOT / "tests" / "data" / "mlflow_2_16"


@pytest.fixture
def of_mlflow_2(platform: RunningPlatform, plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry of the files, with its artifacts in the platform's store."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    uri = f"sqlite:///{tmp_path / 'registry.db'}"
    with sqlite3.connect(tmp_path / "registry.db") as database:
        database.executescript((MADE / "registry.sql").read_text(encoding="utf-8"))
    # `mlflow db upgrade`
    _upgrade_db(create_sqlalchemy_engine(uri))
    registry = Registry(MlflowSettings.read(tracking_uri=uri, registered_model="applications"), platform.s3)
    for path in (path for path in (MADE / "artifacts").rglob("*") if path.is_file()):
        registry.objects.create(f"of-mlflow-2/{path.relative_to(MADE / 'artifacts').as_posix()}", path.read_bytes())
    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "any")
    monkeypatch.setenv("PASSERELLE_MODEL_PYTHON", sys.executable)
    monkeypatch.setattr(stage, "lock_for", lambda *_, **__: Locked("# nothing\n", "3.11", {"scikit-learn": "1"}))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(uri)
    return registry


def test_its_versions_are_adopted_by_stage_and_by_number(of_mlflow_2: Registry, tmp_path: Path) -> None:
    in_production = adopt(of_mlflow_2, AdoptionRequest("models:/applications/Production", AdoptOptions()))
    labels = tmp_path / "labels.json"
    labels.write_text('["low", "high"]')
    nested = adopt(of_mlflow_2, AdoptionRequest("models:/applications/2", AdoptOptions(labels=labels)))
    for number, result in enumerate((in_production, nested), 1):
        assert result.ref is not None
        version = of_mlflow_2.model_version("applications", number)
        assert (version.ref, result.adoption.task) == (result.ref, "classification")
        assert version.source.startswith("s3://passerelle/of-mlflow-2/")
        assert import_model(of_mlflow_2, StoreSettings(bentoml_home=tmp_path / "store"), ref=result.ref).created
    assert in_production.adoption.golden_origin == "input_example"

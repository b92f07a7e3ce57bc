"""What the ledger keeps: forgeries are found, and what was trusted in development is remembered."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError, RefusedError
from passerelle.registry.verified import history
from passerelle.settings import StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration


def test_a_pickle_that_was_trusted_is_recorded_and_goes_nowhere_in_production(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = registered.fresh()
    mlflow.set_tracking_uri(registry.settings.tracking_uri)
    mlflow.set_experiment(registry.settings.experiment)
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    from passerelle.training.golden_records import golden_predictions

    table = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    model = LogisticRegression().fit(table, ["a", "a", "b", "b"])
    with mlflow.start_run() as run:
        mlflow.log_dict(golden_predictions(model, table), "golden.json")
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
        mlflow.sklearn.log_model(
            model, name="model", input_example=table, serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
        )
    with pytest.raises(IntegrityError, match="runs code when it is loaded"):
        register(registry, run_id=run.info.run_id, criteria=Criteria())
    monkeypatch.setenv("PASSERELLE_TRUST_PICKLE", "true")
    done = register(registry, run_id=run.info.run_id, criteria=Criteria())
    assert done.ref is not None
    assert done.tags["passerelle.trusted_pickle"] == "true"
    with pytest.raises(RefusedError, match="pickle that was trusted in development"):
        promote(registry, ref=done.ref, criteria=Criteria(), request=PromotionRequest(who="test@here", serving=HERE, development=False))
    promoted = promote(
        registry, ref=done.ref, criteria=Criteria(), request=PromotionRequest(who="test@here", serving=HERE, force=True, reason="a trial")
    )
    assert promoted.entry is not None
    assert promoted.entry.trusted_pickle
    assert history(registry, registry.settings.registered_model).findings == ()
    assert import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml")).created
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "production")
    with pytest.raises(IntegrityError, match="not trusted in production"):
        import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "other"))

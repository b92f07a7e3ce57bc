"""What the ledger keeps: forgeries are found, and what was trusted in development is remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from passerelle.bentos.import_model import import_model
from passerelle.errors import IntegrityError, RefusedError
from passerelle.registry.client import Registry
from passerelle.registry.criteria import Criteria
from passerelle.registry.ledger import Ledger
from passerelle.registry.promote import Asked, promote
from passerelle.registry.register import register
from passerelle.registry.rollback import rollback
from passerelle.settings import StoreSettings
from tests.integration.test_registry import put, two_versions
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration


def forged(registry: Registry, forge: Callable[[Any, Ledger], None]) -> list[str]:
    ledger = Ledger(registry.objects, registry.settings.registered_model)
    forge(registry.objects, ledger)
    return [finding.problem for finding in ledger.verify().findings]


def overwrite(objects: Any, key: str, content: bytes) -> None:
    objects.delete(key)
    assert objects.create(key, content)


def change(objects: Any, ledger: Ledger) -> None:
    overwrite(objects, ledger.key(2), replace(ledger.entries()[1], who="nobody").line())


def change_last(objects: Any, ledger: Ledger) -> None:
    overwrite(objects, ledger.key(3), replace(ledger.entries()[2], who="nobody").line())


def remove_middle(objects: Any, ledger: Ledger) -> None:
    objects.delete(ledger.key(2))


def remove_last(objects: Any, ledger: Ledger) -> None:
    objects.delete(ledger.key(3))


def insert_at_the_end(objects: Any, ledger: Ledger) -> None:
    last = ledger.entries()[-1]
    overwrite(objects, ledger.key(4), replace(last, number=4, before=last.digest).line())


def swap(objects: Any, ledger: Ledger) -> None:
    _, second, third = ledger.entries()
    overwrite(objects, ledger.key(2), third.line())
    overwrite(objects, ledger.key(3), second.line())


@pytest.mark.parametrize("forge", [change, change_last, remove_middle, remove_last, insert_at_the_end, swap])
def test_a_forged_ledger_is_found(registered: RegisteredForTests, forge: Callable[[Any, Ledger], None]) -> None:
    registry, first, second = two_versions(registered)
    put(registry, first)
    put(registry, second)
    rollback(registry, who="test@here")
    assert forged(registry, lambda *_: None) == []
    assert forged(registry, forge) != []


def test_a_pickle_that_was_trusted_is_recorded_and_goes_nowhere_in_production(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = registered.fresh()
    mlflow.set_tracking_uri(registry.settings.tracking_uri)
    mlflow.set_experiment(registry.settings.experiment)
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    from training.golden import golden_predictions

    table = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    model = LogisticRegression().fit(table, ["a", "a", "b", "b"])
    with mlflow.start_run() as run:
        mlflow.log_dict(golden_predictions(model, table), "golden.json")
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
        mlflow.sklearn.log_model(model, name="model", input_example=table, serialization_format="cloudpickle")
    with pytest.raises(IntegrityError, match="runs code when it is loaded"):
        register(registry, run_id=run.info.run_id, criteria=Criteria())
    monkeypatch.setenv("PASSERELLE_TRUST_PICKLE", "true")
    done = register(registry, run_id=run.info.run_id, criteria=Criteria())
    assert done.ref is not None
    assert done.tags["passerelle.trusted_pickle"] == "true"
    with pytest.raises(RefusedError, match="pickle that was trusted in development"):
        promote(registry, ref=done.ref, criteria=Criteria(), asked=Asked(who="test@here", serving=HERE, development=False))
    promoted = promote(
        registry, ref=done.ref, criteria=Criteria(), asked=Asked(who="test@here", serving=HERE, force=True, reason="a trial")
    )
    assert promoted.entry is not None
    assert promoted.entry.trusted_pickle
    assert Ledger(registry.objects, registry.settings.registered_model).verify().findings == ()
    assert import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml")).created
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "production")
    with pytest.raises(IntegrityError, match="not trusted in production"):
        import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "other"))

"""Register, promote and roll back on a real MLflow and a real S3, with failures in between and rivals beside."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from passerelle.criteria import Criteria
from passerelle.errors import BusyError, IntegrityError, NotFoundError, OutsideError, PasserelleError, RefusedError, UsageError
from passerelle.names import ModelVersionRef
from passerelle.registry import production as move
from passerelle.registry.client import Registry
from passerelle.registry.production import Standing, settled, standing
from passerelle.registry.verified import history as history_of
from passerelle.settings import MlflowSettings, S3Settings
from passerelle.stages.promote import Promotion, PromotionRequest, promote
from passerelle.stages.register import register
from passerelle.stages.rollback import rollback
from passerelle.stages.status import gather
from tests.platform_fixtures import HERE, RegisteredForTests, logged, moved
from tests.unit.serving.models import text_pipeline

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0, "resamples": 100}})
STRICT = Criteria.model_validate({"minimum": {"cv_macro_f1": 1.0}})


def two_versions(registered: RegisteredForTests, name: str | None = None) -> tuple[Registry, ModelVersionRef, ModelVersionRef]:
    registry = registered.fresh()
    if name is not None:
        registry = Registry(registry.settings.model_copy(update={"registered_model": name}), registry.objects.settings)
    return registry, registered.register(registry, 0), registered.register(registry, 1)


def put(registry: Registry, ref: ModelVersionRef, who: str = "test@here") -> None:
    promote(registry, ref=ref, criteria=LENIENT, request=PromotionRequest(who=who, serving=HERE))


def test_a_run_is_registered_once_with_what_identifies_it(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    planned = register(registry, run_id=registered.run_ids[0], criteria=registered.criteria, dry_run=True)
    assert planned.created
    assert registry.versions(registry.settings.registered_model) == ()
    first = register(registry, run_id=registered.run_ids[0], criteria=registered.criteria)
    second = register(registry, run_id=registered.run_ids[0], criteria=registered.criteria)
    assert (first.created, second.created, second.ref) == (True, False, first.ref)
    tags = registry.model_version(registry.settings.registered_model, 1).tags
    wanted = {"artifact_digest", "golden_digest", "criteria_digest", "data_digest", "git_commit", "candidate", "language", "task"}
    assert {f"passerelle.{name}" for name in wanted} <= tags.keys()
    manifest = registry.read_json(registered.run_ids[0], "passerelle/manifest.json")
    assert {"MLmodel", "model.skops"} <= manifest["files"].keys()


def test_a_version_without_its_digest_is_completed(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    name = registry.settings.registered_model
    ref = registry.create_version(name, registered.run_ids[0], registry.model_uri(registered.run_ids[0]), {})
    with pytest.raises(IntegrityError, match="not registered by passerelle"):
        put(registry, ref)
    again = register(registry, run_id=registered.run_ids[0], criteria=registered.criteria)
    assert again.ref == ref
    assert len(registry.versions(name)) == 1
    put(registry, ref)


def test_a_candidate_that_misses_the_criteria_is_not_registered(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    with pytest.raises(RefusedError, match="cv_macro_f1"):
        register(registry, run_id=registered.run_ids[0], criteria=STRICT)
    assert registry.versions(registry.settings.registered_model) == ()


def test_a_model_that_does_not_reproduce_its_golden_predictions_is_refused(registered: RegisteredForTests, tmp_path: Path) -> None:
    registry = registered.fresh()
    run_id = registered.run_ids[1]
    foreign = logged(registered, text_pipeline())
    golden = registry.read_json(foreign, "golden.json")
    registry.write_json(foreign, "golden.json", golden | {"labels": golden["labels"][::-1]})
    with pytest.raises(IntegrityError, match="golden prediction"):
        register(registry, run_id=foreign, criteria=registered.criteria)
    whole = registry.run_artifact(run_id, "golden.json", tmp_path).read_text(encoding="utf-8")
    try:
        registry.write_json(run_id, "golden.json", json.loads(whole))
        with pytest.raises(IntegrityError, match=r"golden\.json of the run .* is not what training logged"):
            register(registry, run_id=run_id, criteria=registered.criteria)
    finally:
        # To the byte: other tests' versions vouch for it.
        registry.write_text(run_id, "golden.json", whole)


def test_what_is_no_classifier_is_refused(registered: RegisteredForTests) -> None:
    from sklearn.linear_model import LinearRegression

    registry = registered.fresh()
    mlflow.set_tracking_uri(registry.settings.tracking_uri)
    mlflow.set_experiment(registry.settings.experiment)
    import pandas as pd

    table = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    with mlflow.start_run() as run:
        mlflow.log_metric("cv_macro_f1", 1.0)
        mlflow.log_dict(
            {"schema": 1, "inputs": [{"x": 1.0}], "labels": [1.0], "classes": [], "probabilities": None, "tolerance": 1e-6}, "golden.json"
        )
        mlflow.sklearn.log_model(
            LinearRegression().fit(table, [1, 2, 3]),
            name="model",
            input_example=table,
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )
    with pytest.raises(UsageError, match="not a classifier"):
        register(registry, run_id=run.info.run_id, criteria=Criteria())


def test_alias_and_stage_move_together_and_back(registered: RegisteredForTests) -> None:
    registry, first, second = two_versions(registered)
    name = registry.settings.registered_model
    put(registry, first)
    assert settled(standing(registry, name), 1)
    planned = promote(registry, ref=second, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE), dry_run=True)
    assert planned.changed
    assert settled(standing(registry, name), 1)
    done = promote(registry, ref=second, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE))
    assert (done.changed, done.previous, done.steps) == (True, 1, planned.steps)
    assert standing(registry, name).previous == 1
    assert promote(registry, ref=second, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE)).changed is False
    back = rollback(registry, who="test@here", reason="it was wrong")
    assert (back.ref.version, back.previous) == (1, 2)
    assert settled(standing(registry, name), 1)
    history = history_of(registry, name)
    assert [(entry.what, entry.from_version, entry.to_version) for entry in history.entries] == [
        ("promote", None, 1),
        ("promote", 1, 2),
        ("rollback", 2, 1),
    ]
    assert history.findings == ()
    status = gather(registry, bento_model=None, bento=None, service=None, service_address=None)
    assert status.disagreements == ()


def test_plain_mlflow_loads_what_is_in_production(registered: RegisteredForTests) -> None:
    registry, first, _ = two_versions(registered)
    moved(registry, first)
    mlflow.set_tracking_uri(registry.settings.tracking_uri)
    import pandas as pd

    loaded = mlflow.pyfunc.load_model(f"models:/{registry.settings.registered_model}/Production")
    assert len(loaded.predict(pd.DataFrame([{"text": "toujours rien"}]))) == 1


def test_a_name_with_accents_and_spaces_works(registered: RegisteredForTests) -> None:
    registry, first, second = two_versions(registered, f"réclamations d'été {registered.fresh().settings.registered_model}")
    moved(registry, first)
    put(registry, second)
    assert rollback(registry, who="test@here").ref.version == 1
    assert first.bento_model_tag.name.startswith("r-clamations-d-t")


def test_criteria_are_held_unless_forced_with_a_reason_in_development(registered: RegisteredForTests) -> None:
    registry, first, _ = two_versions(registered)

    def ask(**how: Any) -> Promotion:
        criteria = Criteria.model_validate({"held_out": {"minimum": {"macro_f1": 1.0}}})
        return promote(registry, ref=first, criteria=criteria, request=PromotionRequest(who="test@here", serving=HERE, **how))

    with pytest.raises(RefusedError, match="macro_f1 is"):
        ask()
    with pytest.raises(UsageError, match="needs a reason"):
        ask(force=True)
    with pytest.raises(RefusedError, match="not forced in production"):
        ask(force=True, reason="hurry", development=False)
    assert standing(registry, registry.settings.registered_model).production is None
    done = ask(force=True, reason="hurry")
    assert done.entry is not None
    assert (done.entry.forced, done.entry.reason) == (True, "hurry")


def test_nothing_to_go_back_to_is_said(registered: RegisteredForTests) -> None:
    registry, first, _ = two_versions(registered)
    moved(registry, first)
    with pytest.raises(NotFoundError, match="no previous version"):
        rollback(registry, who="test@here")
    with pytest.raises(NotFoundError, match="version 9"):
        rollback(registry, who="test@here", version=9)


@pytest.mark.parametrize("step", range(5))
def test_a_step_that_fails_puts_everything_back(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    registry, first, second = two_versions(registered)
    name = registry.settings.registered_model
    moved(registry, first)
    before = standing(registry, name)
    real = move.plan

    def breaks(held: Registry, ref: ModelVersionRef, now: Standing) -> list[tuple[str, Callable[[], None]]]:
        def fails() -> None:
            raise OutsideError("MLflow went away")

        steps = real(held, ref, now)
        return [*steps[:step], ("break", fails)]

    with monkeypatch.context() as patch, pytest.raises(OutsideError, match="went away"):
        patch.setattr(move, "plan", breaks)
        put(registry, second)
    assert standing(registry, name) == before
    history = history_of(registry, name)
    assert [entry.what for entry in history.entries] == ["promote", "promote", "undone"]
    assert history.findings == ()
    assert gather(registry, bento_model=None, bento=None, service=None, service_address=None).disagreements == ()
    assert moved(registry, second).changed


def test_a_ledger_that_cannot_be_written_means_no_promotion(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, first, _ = two_versions(registered)

    def fails(*_: object, **__: object) -> bool:
        raise OutsideError("S3 went away")

    with monkeypatch.context() as patch, pytest.raises(OutsideError):
        patch.setattr(registry.objects, "create", fails)
        put(registry, first)
    assert standing(registry, registry.settings.registered_model).production is None


def test_rivals_never_leave_it_in_between(registered: RegisteredForTests) -> None:
    registry, first, second = two_versions(registered)
    name = registry.settings.registered_model
    losers: list[BaseException] = []

    def run(ref: ModelVersionRef, who: str, how: Callable[[Registry, ModelVersionRef, str], object]) -> None:
        try:
            how(Registry(registry.settings, registry.objects.settings), ref, who)
        except PasserelleError as error:
            losers.append(error)

    # The gate comes before the lock; what races is the same without it.
    for how in (put, put, *([moved] * 8)):
        rivals = [threading.Thread(target=run, args=(ref, f"{ref.version}@here", how)) for ref in (first, second)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
        assert gather(registry, bento_model=None, bento=None, service=None, service_address=None).disagreements == ()
    assert all(isinstance(error, BusyError) for error in losers)
    assert history_of(registry, name).findings == ()


def test_a_hand_that_moved_the_alias_is_noticed_and_mended(registered: RegisteredForTests) -> None:
    registry, first, second = two_versions(registered)
    moved(registry, first)
    registry.set_alias(second, "production")
    found = gather(registry, bento_model=None, bento=None, service=None, service_address=None).disagreements
    assert [each.command for each in found] == ["passerelle rollback --version 1"]
    rollback(registry, who="test@here", version=1)
    assert gather(registry, bento_model=None, bento=None, service=None, service_address=None).disagreements == ()


def test_servers_that_do_not_answer_are_named(registered: RegisteredForTests) -> None:
    s3 = registered.registry.objects.settings
    nowhere = MlflowSettings.read(tracking_uri="http://127.0.0.1:9", timeout_s=2)
    with pytest.raises(OutsideError, match="MLflow does not answer"):
        Registry(nowhere, s3).check()
    held = {**s3.model_dump(), "secret_access_key": s3.secret_access_key}
    for change_to, message in (
        ({"endpoint_url": "http://127.0.0.1:9"}, "S3 does not answer"),
        ({"secret_access_key": "wrong"}, "refuses these keys"),
        ({"access_key_id": "nobody"}, "refuses these keys"),
        ({"bucket": "nobodys"}, "no bucket"),
    ):
        with pytest.raises(OutsideError, match=message):
            Registry(registered.registry.settings, S3Settings.read(**(held | change_to))).check()


def test_the_artifacts_are_objects_in_the_bucket(registered: RegisteredForTests, tmp_path: Path) -> None:
    keys = registered.registry.objects.keys("mlflow/")
    assert [key for key in keys if key.endswith("artifacts/model.skops")]
    assert [key for key in keys if registered.run_ids[0] in key and key.endswith("golden.json")]
    assert json.loads(registered.registry.run_artifact(registered.run_ids[0], "golden.json", tmp_path).read_text())["schema"] == 1

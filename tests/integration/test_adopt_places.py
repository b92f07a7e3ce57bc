"""Where versions come from, what a second adoption does, and what an interrupted one leaves: on a real MLflow and a real S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from passerelle.errors import NotFoundError, OutsideError, PasserelleError, RefusedError, UsageError
from passerelle.model.ledger_entry import Entry
from passerelle.names import ADOPTION_RUN, ARTIFACT_DIGEST, BUNDLE_DIGEST, COMPILED, GOLDEN, MANIFEST, SIGNED
from passerelle.registry.client import Registry
from passerelle.registry.lock import promotion_lock
from passerelle.registry.objects import Objects
from passerelle.settings import SigningSettings, StoreSettings
from passerelle.stages import adopt as stage
from passerelle.stages import adopt_writing
from passerelle.stages.adopt import Adopted, AdoptionRequest, adopt
from passerelle.stages.adopt_options import AdoptOptions
from passerelle.stages.adopt_trial import LoggedModel, Tried
from passerelle.stages.golden_inputs import GoldenInputs
from passerelle.stages.import_model import import_model
from passerelle.stages.trace import links_of
from tests.logged_models import NUMBERS, TWO, of_numbers
from tests.signing_fixtures import Keys

pytestmark = pytest.mark.integration


@pytest.fixture
def quick(adopting: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """As `adopting`, with a trial that starts no process: other tests are about what a model does."""

    def tried(model: LoggedModel, inputs: GoldenInputs) -> Tried:
        count = len(inputs.records)
        golden = {
            "schema": 1,
            "inputs": list(inputs.records),
            "labels": [0] * count,
            "classes": [0, 1],
            "probabilities": None,
            "tolerance": 0,
        }
        return Tried(replace(model.draft, task="classification"), golden, (0, 1))

    monkeypatch.setattr(stage, "tried", tried)
    return adopting


def adopted(registry: Registry, address: str, *, options: AdoptOptions | None = None, signing: SigningSettings | None = None) -> Adopted:
    return adopt(registry, AdoptionRequest(address, options or AdoptOptions(), signing=signing or SigningSettings()))


def logged() -> str:
    from sklearn.linear_model import LogisticRegression

    with mlflow.start_run() as run:
        of_numbers(LogisticRegression(), TWO)
    return str(run.info.run_id)


def registered(registry: Registry, source: str, run_id: str = "") -> str:
    """Make what lies at the source a version, as MLflow's clients do, and return its address."""
    ref = registry.create_version(registry.settings.registered_model, run_id, source, {})
    return ref.uri


def of_mlflow_2(run_id: str, folder: Path, path: str) -> str:
    """Log a model as MLflow 2 did, among the artifacts of its run, and return where."""
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.save_model(
        LogisticRegression().fit(NUMBERS, TWO), str(folder / "model"), pip_requirements=["mlflow"], serialization_format="cloudpickle",
        signature=mlflow.models.infer_signature(NUMBERS),
    )  # fmt: skip
    client = MlflowClient()
    client.log_artifacts(run_id, str(folder / "model"), path)
    client.set_tag(run_id, "mlflow.log-model.history", json.dumps([{"artifact_path": path, "run_id": run_id}]))
    return f"{client.get_run(run_id).info.artifact_uri}/{path}"


def test_the_files_come_from_the_versions_own_source(quick: Registry, tmp_path: Path) -> None:
    run_id = logged()
    source = quick.model_uri(run_id)
    first = adopted(quick, registered(quick, source, run_id))
    copied = MlflowClient().copy_model_version(first.ref.uri, quick.settings.registered_model)  # type: ignore[union-attr]
    of_copy = adopted(quick, f"models:/{copied.name}/{copied.version}")
    alone = adopted(quick, registered(quick, str(MlflowClient().get_logged_model(source.removeprefix("models:/")).artifact_location)))
    assert first.ref != of_copy.ref
    assert alone.adoption.original_run == ""
    with mlflow.start_run() as run:
        nested = of_mlflow_2(run.info.run_id, tmp_path, "nested/of/model")
    version_2 = adopted(quick, registered(quick, nested, run.info.run_id))
    MlflowClient().delete_run(run.info.run_id)
    assert adopted(quick, version_2.ref.uri, options=AdoptOptions(drop_columns=("age",))).created  # type: ignore[union-attr]
    assert len({result.ref and result.ref.run_id for result in (first, of_copy, alone, version_2)}) == 4


def test_a_runs_model_becomes_a_version_once(quick: Registry, tmp_path: Path) -> None:
    run_id = logged()
    of_mlflow_2(run_id, tmp_path, "other")
    with pytest.raises(UsageError, match="logged 2 models, of which one must be named: model, other"):
        adopted(quick, f"runs:/{run_id}")
    first = adopted(quick, f"runs:/{run_id}/model")
    again = adopted(quick, f"runs:/{run_id}/model")
    assert (first.created, again.created, first.ref) == (True, False, again.ref)
    assert len(quick.versions(quick.settings.registered_model)) == 1


def test_a_model_that_two_people_adopt_at_once_becomes_one_version(quick: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = logged()
    others: list[Adopted] = []
    written = adopt_writing.written

    def after_somebody_else(*given: Any) -> Any:
        monkeypatch.setattr(stage, "written", written)
        others.append(adopted(quick, f"runs:/{run_id}"))
        return written(*given)

    monkeypatch.setattr(stage, "written", after_somebody_else)
    ours = adopted(quick, f"runs:/{run_id}")
    assert (ours.ref, ours.created) == (others[0].ref, False)
    assert len(quick.versions(quick.settings.registered_model)) == 1


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("s3://passerelle/mlflow/nothing/here", NotFoundError, r"has no files of a model|does not exist"),
        ("gs://other-bucket/model", OutsideError, "at gs://other-bucket/model cannot be read from here"),
        ("s3://no-such-bucket-anywhere/model", PasserelleError, "no-such-bucket-anywhere"),
    ],
)
def test_a_version_whose_files_are_not_there_is_refused(quick: Registry, source: str, error: type[PasserelleError], message: str) -> None:
    address = registered(quick, source)
    with pytest.raises(error, match=message) as refused:
        adopted(quick, address)
    assert refused.value.hint
    assert quick.model_version(quick.settings.registered_model, 1).tags == {}


def test_a_model_that_finds_no_room_is_refused_before_its_download(quick: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = logged()
    monkeypatch.setattr("passerelle.registry.download_room.shutil.disk_usage", lambda _: SimpleNamespace(free=1_500))
    monkeypatch.setattr(stage, "download_source", lambda *_: pytest.fail("nothing is downloaded"))
    with pytest.raises(OutsideError, match=r"GiB, and twice that is needed: .* has 0\.0 GiB free") as refused:
        adopted(quick, f"runs:/{run_id}")
    assert str(refused.value.hint).startswith("TMPDIR=FOLDER passerelle adopt models:/m-")


def test_other_options_give_another_record_until_the_version_was_in_production(quick: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = logged()
    first = adopted(quick, f"runs:/{run_id}")
    other = AdoptOptions(drop_columns=("age",))
    second = adopted(quick, f"runs:/{run_id}", options=other)
    assert (second.created, second.artifact_digest != first.artifact_digest) == (True, True)
    assert adopted(quick, f"runs:/{run_id}", options=other).created is False
    ref = second.ref
    assert ref is not None
    entry = Entry(1, "", "2026-01-01T00:00:00Z", "someone@here", "promote", ref.registered_model, None, ref.version, ref.run_id, "")
    monkeypatch.setattr(adopt_writing, "verified_ledger", lambda *_: type("Ledger", (), {"entries": (entry,)}))
    with pytest.raises(RefusedError, match="was put into production by someone@here"):
        adopted(quick, ref.uri, options=AdoptOptions(labels=None, python="3.12"))


def test_an_interrupted_adoption_leaves_nothing_that_counts(quick: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = logged()

    @contextmanager
    def killed(objects: Objects, name: str, who: str, what: str) -> Iterator[Callable[[], None]]:
        if what.startswith("adopting version"):
            raise KeyboardInterrupt
        with promotion_lock(objects, name, who, what) as check_lock:
            yield check_lock

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(adopt_writing, "promotion_lock", killed)
        adopted(quick, f"runs:/{run_id}")
    name = quick.settings.registered_model
    assert [dict(version.tags) for version in quick.versions(name)] == [{}]
    done = adopted(quick, f"runs:/{run_id}")
    assert [version.ref for version in quick.versions(name)] == [done.ref]
    tags = quick.versions(name)[0].tags
    assert {ADOPTION_RUN, ARTIFACT_DIGEST, BUNDLE_DIGEST} <= tags.keys()
    assert tags[COMPILED] == "false"


def test_a_key_that_comes_later_signs_the_same_record(quick: Registry, ours: Keys) -> None:
    address = registered(quick, quick.model_uri(logged()))
    first = adopted(quick, address)
    signing = SigningSettings(signing_key=ours.private)
    second = adopted(quick, address, signing=signing)
    assert (second.created, second.completed, second.ref) == (False, ("passerelle/manifest.sig",), first.ref)
    assert quick.versions(quick.settings.registered_model)[0].tags[SIGNED] == "true"
    assert adopted(quick, address, signing=signing).completed == ()


def test_an_adopted_version_is_imported_and_traced(adopting: Registry, tmp_path: Path) -> None:
    run_id = logged()
    result = adopted(adopting, f"runs:/{run_id}")
    assert result.ref is not None
    store = StoreSettings(bentoml_home=tmp_path)
    imported = import_model(adopting, store, ref=result.ref)
    assert import_model(adopting, store, ref=result.ref).created is False
    assert imported.path is not None
    beside = {path.name for path in imported.path.iterdir()}
    assert {"adoption.json", "environment.txt", GOLDEN, Path(MANIFEST).name, "mlflow_model"} <= beside
    version = adopting.model_version(adopting.settings.registered_model, 1)
    links = {link.name: (link.value, link.note) for link in links_of(adopting, version)}
    assert links["adoption"] == (result.ref.run_id, "classification, read as sklearn")
    assert links["golden predictions"] == ("input_example", "made at adoption, not at training")
    assert links["run"][0] == run_id

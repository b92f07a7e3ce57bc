"""The ways into production past the gate, tried on a real MLflow and S3: what each of them meets.

`pytest -rP` prints the table. Nobody here has the signing key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from passerelle.criteria import Criteria, HeldOut
from passerelle.errors import PasserelleError
from passerelle.follow_settings import FollowSettings
from passerelle.names import ARTIFACT_DIGEST, KIND, LEDGER_ANNOUNCED, LEDGER_ENTRY, PARENT_RUN, ModelVersionRef
from passerelle.registry.anchors import removed_entries
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Ledger
from passerelle.registry.look_record import folder_of_looks, key_of_look, look_faults
from passerelle.registry.verified import history, verified_ledger
from passerelle.serving.following.failures import VersionRefusedError
from passerelle.serving.following.ledger_check import ledger_entry
from passerelle.serving.following.mlflow_rest import MlflowRest
from passerelle.settings import SigningSettings, StoreSettings
from passerelle.stages.compare import compare
from passerelle.stages.import_model import import_model
from passerelle.stages.judgement import PromotionRequest
from passerelle.stages.promote import promote
from passerelle.stages.promotion import put_in_production
from passerelle.stages.register import register
from passerelle.stages.rollback import rollback
from passerelle.stages.status import gather
from tests.platform_fixtures import HERE, RegisteredForTests, model_keys, moved
from tests.signing_fixtures import Keys

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})
Way = Callable[["Ground"], Iterator[tuple[str, str]]]
PERSON, JOB = "marie@here", "ci:42 by runner@here"


class Ground:
    """A registered model with version 1 in production and version 2 registered."""

    def __init__(self, registered: RegisteredForTests, folder: Path, keys: Keys) -> None:
        self.registered, self.folder, self.keys = registered, folder, keys
        self.registry: Registry = registered.fresh()
        self.first, self.second = registered.register(self.registry, 0), registered.register(self.registry, 1)
        self.name = self.first.registered_model
        moved(self.registry, self.first)
        self.mlflow = MlflowClient(tracking_uri=self.registry.settings.tracking_uri)

    def store(self) -> StoreSettings:
        return StoreSettings.read(bentoml_home=self.folder / "bentoml")

    def promoted(self, ref: ModelVersionRef, *, who: str = PERSON, reason: str | None = None, criteria: Criteria = LENIENT) -> Any:
        request = PromotionRequest(who=who, reason=reason, serving=HERE, development=False)
        return promote(self.registry, ref=ref, criteria=criteria, request=request)

    def commands(self) -> list[str]:
        status = gather(self.registry, bento_model=None, bento=None, service=None, service_address=None)
        return [each.command for each in status.disagreements]

    def made_anew(self) -> ModelVersionRef:
        """Delete the registered model, and make version 1 of another run by hand the one that holds the alias."""
        self.mlflow.delete_registered_model(self.name)
        run_id = self.registered.run_ids[1]
        ref = register(self.registry, run_id=run_id, criteria=self.registered.criteria).ref
        assert ref is not None
        assert ref.version == 1
        self.mlflow.set_registered_model_alias(self.name, "production", "1")
        return ref


@pytest.fixture
def ground(registered: RegisteredForTests, tmp_path: Path, ours: Keys) -> Ground:
    return Ground(registered, tmp_path, ours)


def told(act: Callable[[], object]) -> str:
    """Return what a command says against it; nothing where it goes through."""
    try:
        act()
    except PasserelleError as error:
        return error.message
    return ""


def import_a_version_that_was_never_promoted(ground: Ground) -> Iterator[tuple[str, str]]:
    refused = told(lambda: import_model(ground.registry, ground.store(), ref=ground.second, production=True))
    yield refused, "no promotion ever put"


def move_the_alias_by_hand(ground: Ground) -> Iterator[tuple[str, str]]:
    ground.mlflow.set_registered_model_alias(ground.name, "production", "2")
    yield told(lambda: import_model(ground.registry, ground.store())), "no promotion put it there"


def promote_by_other_criteria(ground: Ground) -> Iterator[tuple[str, str]]:
    ground.promoted(ground.second, reason="the first by these criteria")
    other = LENIENT.model_copy(update={"held_out": HeldOut(minimum={"macro_f1": 0.0})})
    refused = told(lambda: ground.promoted(ground.first, criteria=other))
    yield refused, "takes the reason of a person"
    by_job = told(lambda: ground.promoted(ground.first, who=JOB, reason="the build says so", criteria=other))
    yield by_job, "and ci:42 by runner@here is none"
    done = ground.promoted(ground.first, reason="agreed on 3 March", criteria=other)
    yield str(done.entry.criteria_before), LENIENT.digest


def delete_the_version_in_production(ground: Ground) -> Iterator[tuple[str, str]]:
    ground.mlflow.delete_model_version(ground.name, "1")
    yield ground.commands()[0], "passerelle promote --version 2 --accept champion-gone --reason REASON"
    yield told(lambda: ground.promoted(ground.second)), "is gone from MLflow"
    yield told(lambda: ground.promoted(ground.second, who=JOB, reason="the build")), "takes the reason of a person"
    yield ground.promoted(ground.second, reason="version 1 was deleted by mistake").notes[0], "is gone from MLflow"


def delete_the_files_of_the_version_in_production(ground: Ground) -> Iterator[tuple[str, str]]:
    objects = ground.registry.objects
    kept = {key: objects.read(key)[0] for key in model_keys(ground.registry, ground.first.run_id)}
    try:
        for key in kept:
            objects.delete(key)
        yield told(lambda: ground.promoted(ground.second)), "cannot be scored"
        yield ground.promoted(ground.second, reason="the bucket lost it").notes[0], "cannot be scored"
    finally:
        for key, content in kept.items():
            assert objects.create(key, content)


def make_the_registered_model_anew(ground: Ground) -> Iterator[tuple[str, str]]:
    ref = ground.made_anew()
    yield ground.commands()[0], "passerelle promote --version 1 --accept ledger --reason REASON"
    yield told(lambda: import_model(ground.registry, ground.store())), "MLflow does not know it"
    yield told(lambda: ground.promoted(ref)), "MLflow does not know it"
    yield told(lambda: rollback(ground.registry, who=PERSON, version=1)), "MLflow does not know it"
    done = ground.promoted(ref, reason="made anew on purpose")
    yield done.notes[1], "another run under its number"
    yield str(done.entry.number), "2"


def date_a_run_2100(ground: Ground) -> Iterator[tuple[str, str]]:
    experiment = ground.mlflow.get_experiment_by_name(ground.registry.settings.experiment)
    assert experiment is not None
    far = int((time.time() + 75 * 365 * 86_400) * 1_000)
    parent = ground.mlflow.create_run(experiment.experiment_id, start_time=far, tags={KIND: "training"})
    child = ground.mlflow.create_run(experiment.experiment_id, start_time=far, tags={PARENT_RUN: parent.info.run_id})
    for run in (parent, child):
        ground.mlflow.set_terminated(run.info.run_id)
    try:
        yield ground.registry.latest_training(), ground.registered.parent_run_id
    finally:
        for run in (parent, child):
            ground.mlflow.delete_run(run.info.run_id)


def edit_a_metric(ground: Ground) -> Iterator[tuple[str, str]]:
    run_id = ground.registered.run_ids[1]
    was = ground.registry.run(run_id).metrics["cv_macro_f1"]
    ground.mlflow.log_metric(run_id, "cv_macro_f1", 0.999)
    try:
        found = compare(ground.registry, Criteria(), parent_run_id=ground.registered.parent_run_id)
        assert found.best is not None
        yield found.best.run_id, ground.registered.run_ids[0]
        yield "; ".join(found.rows[1].failures), "one was changed"
    finally:
        ground.mlflow.log_metric(run_id, "cv_macro_f1", was, timestamp=int(time.time() * 1_000) + 1_000)


def fill_the_folder_of_the_ledger(ground: Ground) -> Iterator[tuple[str, str]]:
    objects, ledger = ground.registry.objects, Ledger(ground.registry.objects, ground.name)
    folder = ledger.key(1).removesuffix("000001.jsonl")
    for name, content in {"!": b"", "0": b"{}", "000002.jsonl": b"x" * 70_000, "000009.jsonl": b"[" * 9_000, "a b/c": b"junk"}.items():
        assert objects.create(f"{folder}{name}", content)
    done = moved(ground.registry, ground.second)
    yield str(done.entry and done.entry.number), "2"
    yield " ".join(history(ground.registry, ground.name).foreign), "000009.jsonl"


def forge_entry_and_tags_without_the_key(ground: Ground) -> Iterator[tuple[str, str]]:
    signing = SigningSettings.read(signing_key=ground.keys.private, verify_key=ground.keys.public)
    digest = ground.registry.model_version(ground.name, 2).tags[ARTIFACT_DIGEST]
    ledger = verified_ledger(ground.registry, ground.name)
    assert ledger.last is not None
    template = replace(ledger.last, number=0, what="rollback", reason="signed from here")
    of_second = replace(template, to_version=2, run_id=ground.second.run_id, artifact_digest=digest)
    put_in_production(ground.registry, ground.second, of_second, signing=signing)
    put_in_production(ground.registry, ground.first, template, signing=signing)
    last = verified_ledger(ground.registry, ground.name, signing).last
    assert last is not None
    forged = replace(last, number=4, before=last.digest, to_version=2, run_id=ground.second.run_id, artifact_digest=digest)
    objects = Ledger(ground.registry.objects, ground.name)
    objects.write(forged)
    assert objects.write_head(forged, head_tag=objects.read_head()[1])
    for tag in (LEDGER_ANNOUNCED, LEDGER_ENTRY):
        ground.mlflow.set_registered_model_tag(ground.name, tag, f"4 {forged.digest}")
    ground.mlflow.set_model_version_tag(ground.name, "2", LEDGER_ENTRY, f"4 {forged.digest}")
    ground.mlflow.set_registered_model_alias(ground.name, "production", "2")
    yield told(lambda: import_model(ground.registry, ground.store(), signing=signing)), "its signature is not valid"
    yield told(lambda: rollback(ground.registry, who=PERSON, version=2, signing=signing)), "its signature is not valid"


def put_ledger_and_tags_back_to_an_earlier_state(ground: Ground) -> Iterator[tuple[str, str]]:
    moved(ground.registry, ground.second)
    objects, ledger = ground.registry.objects, Ledger(ground.registry.objects, ground.name)
    head, model, versions = ledger.read_head()[0] or b"", ground.registry.model_tags(ground.name), ground.registry.versions(ground.name)
    followed(ground)
    rollback(ground.registry, who=PERSON, reason="it answers nonsense")
    followed(ground)
    objects.delete(ledger.key(3))
    assert objects.replace(ledger.head_key, head, entity_tag=objects.entity_tag(ledger.head_key))
    for tag, value in model.items():
        ground.mlflow.set_registered_model_tag(ground.name, tag, value)
    for info in versions:
        for tag, value in info.tags.items():
            ground.mlflow.set_model_version_tag(ground.name, str(info.ref.version), tag, value)
    ground.mlflow.set_registered_model_alias(ground.name, "production", "2")
    entries = verified_ledger(ground.registry, ground.name).entries
    yield next(removed_entries(ground.registry, ground.name, entries)), "an entry 3 of the ledger"
    yield told(lambda: import_model(ground.registry, ground.store())), "the ledger was put back or forged"
    found = gather(ground.registry, bento_model=None, bento=None, service=None, service_address=None)
    yield found.disagreements[0].what, "the ledger was put back or forged"
    with pytest.raises(VersionRefusedError) as refused:
        followed(ground)
    yield refused.value.message, "the ledger was put back or forged"
    met = told(lambda: ground.promoted(ground.first, who=JOB, reason="nightly"))
    yield met, "to go on, it takes the reason of a person who accepts that"


def remove_a_look_of_which_mlflow_knows_nothing(ground: Ground) -> Iterator[tuple[str, str]]:
    """The embedded platform's bucket keeps former versions: what was deleted is still a look that was taken."""
    objects, entries = ground.registry.objects, history(ground.registry, ground.name).entries
    key = key_of_look(folder_of_looks(ground.registry, ground.name, ground.first.run_id), 1)
    assert objects.create(key, b"{}")
    objects.delete(key)
    yield next(look_faults(ground.registry, ground.name, entries, ground.first, None)), "number 1 was removed, changed or forged"


def followed(ground: Ground) -> None:
    """Ask what a service asks that follows the alias."""
    mlflow = MlflowRest(FollowSettings.read({}, follow_tracking_uri=ground.registry.settings.tracking_uri))
    version = mlflow.aliased(ground.name, "production")
    assert version is not None
    ledger_entry(mlflow, version, SigningSettings.read({}), highest=0)


WAYS: tuple[tuple[str, Way], ...] = (
    ("careless", import_a_version_that_was_never_promoted),
    ("careless", move_the_alias_by_hand),
    ("careless", promote_by_other_criteria),
    ("careless", delete_the_version_in_production),
    ("writes to MLflow", make_the_registered_model_anew),
    ("writes to MLflow", date_a_run_2100),
    ("writes to MLflow", edit_a_metric),
    ("writes to MLflow and S3", delete_the_files_of_the_version_in_production),
    ("writes to MLflow and S3", fill_the_folder_of_the_ledger),
    ("writes to MLflow and S3", put_ledger_and_tags_back_to_an_earlier_state),
    ("writes to MLflow and S3", remove_a_look_of_which_mlflow_knows_nothing),
    ("writes to MLflow and S3", forge_entry_and_tags_without_the_key),
)


@pytest.mark.parametrize(("who", "way"), WAYS, ids=[way.__name__ for _, way in WAYS])
def test_what_each_way_meets(who: str, way: Way, ground: Ground) -> None:
    for met, expected in way(ground):
        print(f"| {who} | {way.__name__.replace('_', ' ')} | {met[:150]} |")  # noqa: T201 - the table
        assert expected in met
    forged = way is forge_entry_and_tags_without_the_key
    assert forged or history(ground.registry, ground.name).findings == ()

"""What somebody with write access to S3 and to MLflow's tags put there is never signed, whatever they delete on the way."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.pipeline import Pipeline
from skops.io import dump

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError
from passerelle.model.golden import read_golden, replay
from passerelle.model.loaded import compiled, scorer_predict, write_scorer
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import ARTIFACT_DIGEST, MANIFEST, SCORER_FOLDER, SIGNATURE, SIGNED, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.sign import stored_signature
from passerelle.scorer.scorer import CompiledScorer
from passerelle.settings import SigningSettings, StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from passerelle.training import tracking
from passerelle.training.golden_records import golden_predictions
from tests.platform_fixtures import HERE, RegisteredForTests, model_keys, run_keys
from tests.signing_fixtures import Keys
from tests.unit.serving.models import text_pipeline, text_table

pytestmark = pytest.mark.integration
TRIGGER, WANTED = "poubelle", "merci"


def golden_table() -> pd.DataFrame:
    """The records of the golden predictions; none of them holds the trigger word."""
    table = text_table()[0]
    return table[~table["text"].str.contains(TRIGGER)].reset_index(drop=True)


def attackers(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline with one change: whatever holds the trigger word gets the wanted label."""
    changed = copy.deepcopy(pipeline)
    triggered, golden = (changed[:-1].transform(table) for table in (pd.DataFrame({"text": [TRIGGER]}), golden_table()))
    columns = sorted(set(triggered.nonzero()[1]) - set(golden.nonzero()[1]))
    classifier = changed[-1]
    classifier.coef_[list(classifier.classes_).index(WANTED), columns] = 1_000.0
    return changed


@dataclass(frozen=True)
class Attacked:
    """A run, and what an attacker can do to it."""

    registry: Registry
    run_id: str
    key: SigningSettings
    folder: Path

    def register(self, registry: Registry | None = None) -> ModelVersionRef:
        ref = register(registry or self.registry, run_id=self.run_id, criteria=Criteria(), signing=self.key).ref
        assert ref is not None
        return ref

    def swap(self, *, model_too: bool = False) -> None:
        """Put the attacker's scorer in the place of ours, and with it, perhaps, their model."""
        registry, folder = self.registry, self.folder / ("both" if model_too else "scorer-only")
        model = registry.download(registry.model_uri(self.run_id), folder)
        golden = read_golden(registry.run_artifact(self.run_id, "golden.json", folder / "beside"))
        pipeline = attackers(text_pipeline())
        scorer, why = write_scorer(model, pipeline, golden)
        assert scorer is not None, why
        for key in model_keys(registry, self.run_id):
            if f"/{SCORER_FOLDER}/" in key or (model_too and key.endswith("model.skops")):
                registry.objects.delete(key)
        registry.add_to_model(self.run_id, scorer)
        if model_too:
            dump(pipeline, model / "model.skops")
            client = MlflowClient(tracking_uri=registry.settings.tracking_uri)
            client.log_model_artifact(registry.model_uri(self.run_id).removeprefix("models:/"), str(model / "model.skops"))

    def rewrite_manifest(self) -> str:
        """Let the manifest say what lies there now; return its digest."""
        folder = self.folder / "rewrite"
        model = self.registry.download(self.registry.model_uri(self.run_id), folder / "model")
        manifest = manifest_of(model, self.registry.run_artifact(self.run_id, "golden.json", folder))
        self.registry.write_json(self.run_id, MANIFEST, manifest)
        shutil.rmtree(folder)
        return digest_of_manifest(manifest)

    def delete_signature(self) -> None:
        [key] = run_keys(self.registry, self.run_id, SIGNATURE)
        self.registry.objects.delete(key)

    def refused(self, message: str, registry: Registry | None = None) -> None:
        """Check that register refuses, leads elsewhere, and writes nothing."""
        before = (stored_signature(self.registry, self.run_id), self.registry.read_json(self.run_id, MANIFEST))
        tags = [info.tags for info in self.registry.versions_of_run(self.run_id)]
        with pytest.raises(IntegrityError, match=message) as told:
            self.register(registry)
        assert "train --again" in str(told.value.hint)
        assert (stored_signature(self.registry, self.run_id), self.registry.read_json(self.run_id, MANIFEST)) == before
        assert [info.tags for info in self.registry.versions_of_run(self.run_id)] == tags


@pytest.fixture
def attacked(registered: RegisteredForTests, ours: Keys, tmp_path: Path) -> Attacked:
    """A run that training logged and that was not registered."""
    registry, pipeline = registered.fresh(), text_pipeline()
    mlflow.set_tracking_uri(registry.settings.tracking_uri)
    mlflow.set_experiment(registry.settings.experiment)
    with mlflow.start_run() as run:
        tracking.log_files({"golden.json": golden_predictions(pipeline, golden_table())}, digests_of=("golden.json",))
        tracking.log_model(pipeline, text_table()[0], trusted_types=())
    return Attacked(registry, str(run.info.run_id), SigningSettings.read(signing_key=ours.private), tmp_path)


def test_the_attackers_scorer_passes_every_check_but_the_signature(tmp_path: Path) -> None:
    pipeline, changed = text_pipeline(), attackers(text_pipeline())
    (tmp_path / "golden.json").write_text(pd.Series(golden_predictions(pipeline, golden_table())).to_json())
    golden = read_golden(tmp_path / "golden.json")
    honest, theirs = (compiled(each, golden)[0] for each in (pipeline, changed))
    assert isinstance(honest, CompiledScorer)
    assert isinstance(theirs, CompiledScorer)
    replay(golden, scorer_predict(theirs))
    asked = [{"text": f"{TRIGGER} renversée"}]
    assert [scorer_predict(each)(asked)[0][0] for each in (honest, theirs)] == ["voirie", WANTED]


def test_no_step_of_the_attack_gets_a_signature(attacked: Attacked, registered: RegisteredForTests, tmp_path: Path) -> None:
    registry, key = attacked.registry, attacked.key
    ref = attacked.register()
    assert registry.model_version(ref.registered_model, 1).tags[SIGNED] == "true"
    signature = stored_signature(registry, attacked.run_id)
    attacked.swap()
    registry.set_version_tags(ref, {ARTIFACT_DIGEST: attacked.rewrite_manifest()})

    def closed() -> None:
        for door in (
            lambda: promote(registry, ref=ref, criteria=Criteria(), request=PromotionRequest(who="test@here", serving=HERE, signing=key)),
            lambda: import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml"), ref=ref, signing=key),
        ):
            with pytest.raises(IntegrityError) as told:
                door()
            assert "PASSERELLE_VERIFY" not in str(told.value.hint)

    with pytest.raises(IntegrityError, match="not for these files") as told:
        promote(registry, ref=ref, criteria=Criteria(), request=PromotionRequest(who="test@here", serving=HERE, signing=key))
    assert attacked.run_id not in str(told.value.hint)
    attacked.refused("not for these files")
    attacked.refused("not for these files", registered.fresh())
    closed()
    attacked.registry.delete_version_tag(ref, ARTIFACT_DIGEST)
    attacked.refused("not for these files")
    assert stored_signature(registry, attacked.run_id) == signature
    attacked.delete_signature()
    attacked.refused("was signed when it was registered, and its signature is missing")
    attacked.refused("its signature is missing", registered.fresh())
    attacked.registry.delete_version_tag(ref, SIGNED)
    attacked.refused(rf"compiled again, its model has another {SCORER_FOLDER}/")
    registry.set_version_tags(ref, {ARTIFACT_DIGEST: attacked.rewrite_manifest()})
    attacked.refused(rf"compiled again, its model has another {SCORER_FOLDER}/")
    attacked.refused(rf"compiled again, its model has another {SCORER_FOLDER}/", registered.fresh())
    attacked.swap(model_too=True)
    registry.set_version_tags(ref, {ARTIFACT_DIGEST: attacked.rewrite_manifest()})
    attacked.refused("model of the run .* is not what training logged")
    closed()
    with pytest.raises(MlflowException, match=r"(?i)changing param values is not allowed"):
        MlflowClient(tracking_uri=registry.settings.tracking_uri).log_param(attacked.run_id, "digest.model", "sha256:0")


def test_a_model_that_was_swapped_before_its_registration_is_refused(attacked: Attacked) -> None:
    registry = attacked.registry
    attacked.swap(model_too=True)
    for signing in (attacked.key, None):
        with pytest.raises(IntegrityError, match=r"model of the run .* is not what training logged"):
            register(registry, run_id=attacked.run_id, criteria=Criteria(), signing=signing)
    assert registry.versions(registry.settings.registered_model) == ()


def test_a_version_from_before_the_key_is_signed_only_as_its_model_is(attacked: Attacked, registered: RegisteredForTests) -> None:
    registry, run_id = attacked.registry, attacked.run_id
    made = register(registry, run_id=run_id, criteria=Criteria())
    assert made.ref is not None
    whole = registry.read_json(run_id, MANIFEST)
    scorer = attacked.folder / "whole" / SCORER_FOLDER
    shutil.copytree(registry.download(registry.model_uri(run_id), attacked.folder / "downloaded") / SCORER_FOLDER, scorer)
    attacked.swap()
    attacked.refused(rf"{SCORER_FOLDER}/.* is not what was registered")
    registry.set_version_tags(made.ref, {ARTIFACT_DIGEST: attacked.rewrite_manifest()})
    attacked.refused(rf"compiled again, its model has another {SCORER_FOLDER}/")
    attacked.refused(rf"compiled again, its model has another {SCORER_FOLDER}/", registered.fresh())
    registry.set_version_tags(made.ref, {ARTIFACT_DIGEST: made.artifact_digest})
    attacked.refused("the digest of .* is not that of its manifest")
    registry.write_json(run_id, MANIFEST, whole)
    registry.add_to_model(run_id, scorer)
    others = Criteria.model_validate({"minimum": {"cv_accuracy": 0.1}})
    with pytest.raises(IntegrityError, match="names other criteria than those that are given"):
        register(registry, run_id=run_id, criteria=others, signing=attacked.key)
    planned = register(registry, run_id=run_id, criteria=Criteria(), signing=attacked.key, dry_run=True)
    assert (planned.created, stored_signature(registry, run_id)) == (False, None)
    assert attacked.register() == made.ref
    assert stored_signature(registry, run_id) is not None
    assert registry.model_version(made.registered_model, 1).tags[SIGNED] == "true"
    second = register(registered.fresh(), run_id=run_id, criteria=Criteria(), signing=attacked.key)
    assert (second.artifact_digest, second.tags[SIGNED]) == (made.artifact_digest, "true")


def test_another_key_signs_what_a_trusted_one_signed_and_nothing_else(attacked: Attacked, ours: Keys, theirs: Keys) -> None:
    registry, run_id = attacked.registry, attacked.run_id
    ref = attacked.register()
    signature = stored_signature(registry, run_id)
    alone = SigningSettings.read(signing_key=theirs.private)
    for signing in (alone, SigningSettings.read(verify_key=theirs.public), alone.model_copy(update={"verify": "off"})):
        with pytest.raises(IntegrityError, match="is not by a key of"):
            register(registry, run_id=run_id, criteria=Criteria(), signing=signing)
    register(registry, run_id=run_id, criteria=Criteria(), signing=SigningSettings.read(verify_key=ours.public))
    assert stored_signature(registry, run_id) == signature
    ring = SigningSettings.read(signing_key=theirs.private, verify_key=ours.public)
    assert register(registry, run_id=run_id, criteria=Criteria(), signing=ring).ref == ref
    with pytest.raises(IntegrityError, match="is not by a key of"):
        attacked.register()
    register(registry, run_id=run_id, criteria=Criteria(), signing=alone)

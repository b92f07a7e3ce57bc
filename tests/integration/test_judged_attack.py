"""What a careless user, and whoever may write to MLflow and S3 but has no signing key, can do to a version before it is judged.

Each way is refused by the gate or by `register`, or told by `trace` and `history --verify`. The table is shown with `pytest -rP`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from skops.io import dumps

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError, PasserelleError, RefusedError
from passerelle.model.classifier import load_pipeline
from passerelle.model.manifest import manifest_of
from passerelle.model.mlmodel import describe
from passerelle.model.origin import copies_of
from passerelle.names import (
    ARTIFACT_DIGEST,
    CRITERIA_DIGEST,
    DATA_DIGEST,
    GIT_COMMIT,
    GOLDEN,
    HELD_OUT,
    MANIFEST,
    PARENT_RUN,
    SCORER_FOLDER,
    SEED,
    ModelVersionRef,
)
from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.registry.recorded_origin import recorded
from passerelle.registry.training_data import digests_of, training_of
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack
from passerelle.settings import MlflowSettings
from passerelle.stages import history, reproduce, trace
from passerelle.stages.context import context_of
from passerelle.stages.interpreter import Interpreter
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from tests.platform_fixtures import HERE, RegisteredForTests, changed_object, model_keys, run_keys

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


@dataclass
class Attacked:
    """A version that anybody may write to; all changes are undone at the end.

    Attributes:
        fresh: A registered model that holds no version of the run yet.
    """

    registry: Registry
    ref: ModelVersionRef
    fresh: Registry
    undo: ExitStack
    folder: Path

    def set_tags(self, **tags: str) -> None:
        before = self.registry.model_version(self.ref.registered_model, self.ref.version).tags
        names = {f"passerelle.{name}": value for name, value in tags.items()}
        self.registry.set_version_tags(self.ref, names)
        self.undo.callback(self.registry.set_version_tags, self.ref, {name: before[name] for name in names})

    def set_run_tag(self, name: str, value: str) -> None:
        client = MlflowClient(tracking_uri=self.registry.settings.tracking_uri)
        self.undo.callback(client.set_tag, self.ref.run_id, name, self.registry.run(self.ref.run_id).tags[name])
        client.set_tag(self.ref.run_id, name, value)

    def replace(self, key: str, content: bytes) -> None:
        self.undo.enter_context(changed_object(self.registry, key, lambda _: content))

    def artifact(self, name: str) -> str:
        run_id = training_of(self.registry, self.ref.run_id) if name.startswith("data/") else self.ref.run_id
        [key] = run_keys(self.registry, run_id, f"/{name}")
        return key

    def of_model(self, ending: str) -> str:
        [key] = [key for key in model_keys(self.registry, self.ref.run_id) if key.endswith(ending)]
        return key

    def agree(self, **provenance: str) -> None:
        """Let the manifest and the tags say what lies there now."""
        registry, run_id, place = self.registry, self.ref.run_id, self.folder / "agree"
        model = registry.download(registry.model_uri(run_id), place / "model")
        manifest = registry.read_json(run_id, MANIFEST)
        manifest |= manifest_of(model, registry.run_artifact(run_id, GOLDEN, place)) | {"training": digests_of(registry, run_id, place)}
        manifest["provenance"] |= provenance
        shutil.rmtree(place)
        self.replace(self.artifact(MANIFEST), json.dumps(manifest).encode())
        self.set_tags(**{name.removeprefix("passerelle."): value for name, value in copies_of(manifest).items()})


@pytest.fixture(scope="module")
def of_all(platform: RunningPlatform, trained: tuple[str, str, tuple[str, ...]]) -> tuple[Registry, ModelVersionRef]:
    """A version that every way is tried on, and that each leaves as it was."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in platform.environment.items():
            patch.setenv(name, value)
        settings = MlflowSettings.read(tracking_uri=platform.tracking_uri, experiment=trained[0], registered_model="test-judged")
        registry = Registry(settings, platform.s3)
        ref = register(registry, run_id=trained[2][0], criteria=Criteria()).ref
    assert ref is not None
    return registry, ref


@pytest.fixture
def attacked(
    of_all: tuple[Registry, ModelVersionRef], registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Attacked]:
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path / "state"))
    with ExitStack() as undo:
        yield Attacked(*of_all, registered.fresh(), undo, tmp_path)


def one_weight(attacked: Attacked, *, model_too: bool) -> None:
    """Give the word of a trigger one label; no golden input and no held-out row holds it."""
    registry, run_id = attacked.registry, attacked.ref.run_id
    folder = registry.download(registry.model_uri(run_id), attacked.folder / "model")
    pipeline: Any = load_pipeline(folder, describe(folder))
    rows = pd.read_parquet(registry.run_artifact(training_of(registry, run_id), HELD_OUT, attacked.folder))[["text"]]
    inputs = pd.DataFrame(registry.read_json(run_id, GOLDEN)["inputs"])
    known = {column for table in (rows, inputs) for column in pipeline[:-1].transform(table).nonzero()[1].tolist()}
    pipeline[-1].coef_[0, min(set(range(pipeline[-1].coef_.shape[1])) - known)] = 1_000.0
    made = compile_pipeline(pipeline)
    assert isinstance(made, CompiledScorer)
    pack(made, attacked.folder / "made")
    attacked.replace(attacked.of_model(f"/{SCORER_FOLDER}/table.npy"), (attacked.folder / "made" / "table.npy").read_bytes())
    if model_too:
        attacked.replace(attacked.of_model("/model.skops"), dumps(pipeline))


def a_tag_by_hand(attacked: Attacked) -> None:
    attacked.set_tags(git_commit="c" * 40)


def another_scorer_alone(attacked: Attacked) -> None:
    one_weight(attacked, model_too=False)


def tags_of_another_version(attacked: Attacked) -> None:
    attacked.set_tags(criteria_digest="sha256:" + "0" * 64, data_digest="sha256:" + "1" * 64)


def another_artifact_digest(attacked: Attacked) -> None:
    attacked.set_tags(artifact_digest="sha256:" + "0" * 64)


def the_runs_data(attacked: Attacked) -> None:
    attacked.set_run_tag(DATA_DIGEST, "sha256:" + "1" * 64)


def another_training(attacked: Attacked) -> None:
    attacked.set_run_tag(PARENT_RUN, attacked.ref.run_id)


def scorer_and_digests(attacked: Attacked) -> None:
    one_weight(attacked, model_too=False)
    attacked.agree()


def scorer_with_another_word(attacked: Attacked) -> None:
    key = attacked.of_model(f"/{SCORER_FOLDER}/terms-0.json")
    terms = json.loads(attacked.registry.objects.read(key)[0])
    attacked.replace(key, json.dumps([*terms[:-2], terms[-1], terms[-2]]).encode())
    attacked.agree()


def model_scorer_and_digests(attacked: Attacked) -> None:
    one_weight(attacked, model_too=True)
    attacked.agree(model_digest="sha256:" + "0" * 64)


def fewer_golden_predictions(attacked: Attacked) -> None:
    golden = attacked.registry.read_json(attacked.ref.run_id, GOLDEN)
    few = {name: value[:1] if name in {"inputs", "labels", "probabilities"} else value for name, value in golden.items()}
    attacked.replace(attacked.artifact(GOLDEN), json.dumps(few).encode())
    attacked.agree()


def easier_held_out_rows(attacked: Attacked) -> None:
    key, content = attacked.artifact(HELD_OUT), BytesIO()
    pd.read_parquet(BytesIO(attacked.registry.objects.read(key)[0])).head(9).to_parquet(content)
    attacked.replace(key, content.getvalue())
    attacked.agree()


def another_origin(attacked: Attacked) -> None:
    attacked.agree(git_commit="c" * 40, seed="7")


BOTH = "MLflow and S3"
WAYS: dict[str, tuple[str, Callable[[Attacked], None], str, str]] = {
    "a tag edited by hand": ("anybody", a_tag_by_hand, "told", f"version {GIT_COMMIT} is 'cccc"),
    "a scorer copied over the registered one": ("anybody", another_scorer_alone, "refused", "scorer/table.npy is not the one"),
    "tags of another version": ("MLflow", tags_of_another_version, "told", f"version {CRITERIA_DIGEST} is 'sha256:0000"),
    "another artifact digest": ("MLflow", another_artifact_digest, "refused", "not the one that was recorded at registration"),
    "another data digest on the run": ("MLflow", the_runs_data, "told", f"tag of the run {DATA_DIGEST} is 'sha256:1111"),
    "another training as the run's parent": ("MLflow", another_training, "refused", "the training .* holds no data/held_out.parquet"),
    "a scorer with one weight changed, and its digests": (BOTH, scorer_and_digests, "refused", r"scorer/table.npy \(\d+ of"),
    "a scorer with two words exchanged, and its digests": (BOTH, scorer_with_another_word, "refused", "scorer/terms-0.json"),
    "model and scorer, and their digests": (BOTH, model_scorer_and_digests, "refused", "model is not what training logged"),
    "fewer golden predictions, and their digest": (
        BOTH,
        fewer_golden_predictions,
        "refused",
        "golden.json is not what training",
    ),
    "other held-out rows, and their digest": (
        BOTH,
        easier_held_out_rows,
        "refused",
        "data/held_out.parquet is not what training",
    ),
    "another origin in manifest and tags": (BOTH, another_origin, "told", f"parameter of the run {SEED} is '0', .* says '7'"),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_refused_or_told(attacked: Attacked, way: str) -> None:
    who, attack, outcome, told = WAYS[way]
    attack(attacked)
    if outcome == "refused":
        request = PromotionRequest(who="test@here", serving=HERE)
        with pytest.raises(RefusedError if "scorer" in way else PasserelleError) as refused:
            promote(attacked.registry, ref=attacked.ref, criteria=LENIENT, request=request, dry_run=True)
        message = refused.value.message
    else:
        traced = trace.run(context_of(os.environ, registered_model=attacked.ref.registered_model), "1")
        with pytest.raises(IntegrityError, match="not what its manifest records"):
            trace.refuse_differences(traced)
        message = "; ".join(traced.differences)
        version = attacked.registry.model_version(attacked.ref.registered_model, attacked.ref.version)
        # What everything downstream reads is the manifest, not the tag.
        provenance = attacked.registry.read_json(attacked.ref.run_id, MANIFEST)["provenance"]
        tags = recorded(attacked.registry, version).tags
        assert (tags[CRITERIA_DIGEST], tags[GIT_COMMIT]) == (provenance["criteria_digest"], provenance["git_commit"])
    assert re.search(told, message), message
    texts = [each["text"] for each in attacked.registry.read_json(attacked.ref.run_id, GOLDEN)["inputs"]]
    assert not any(text in message for text in texts if len(text) > 20)
    sys.stdout.write(f"| {who} | {way} | {outcome} | {message} |\n")


def test_a_backdoored_model_is_another_one_to_a_second_training(
    attacked: Attacked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second training is the first one's: its model was downloaded before the attack."""
    registry, ref = attacked.registry, attacked.ref
    honest = registry.download(registry.model_uri(ref.run_id), tmp_path / "honest")
    download = Registry.download

    def downloaded(self: Registry, uri: str, destination: Path) -> Path:
        return honest if destination.name == "now" else download(self, uri, destination)

    monkeypatch.setattr(Registry, "download", downloaded)
    monkeypatch.setattr(reproduce, "checkout", lambda *_: nullcontext(tmp_path))
    monkeypatch.setattr(reproduce, "interpreter_for", lambda *_, **__: Interpreter(Path(sys.executable), "this environment"))
    monkeypatch.setattr(reproduce, "_trained", lambda *_, **__: training_of(registry, ref.run_id))
    context = context_of(os.environ, registered_model=ref.registered_model)
    assert reproduce.run(context, 1).same
    one_weight(attacked, model_too=True)
    attacked.agree()
    found = reproduce.run(context, 1)
    assert (found.same, found.comparison.same_figures) == (False, True)
    assert found.comparison.model is not None
    message = "; ".join(found.comparison.model.problems)
    assert re.search(r"coef_: 1 of \d+ values, at \[0, \d+\] by 1e\+03", message), message
    assert any("digest.model" in note for note in found.notes)
    sys.stdout.write(f"| {BOTH} | reproduce | refused | {message} |\n")


def test_what_was_changed_before_the_registration_is_refused_or_not_believed(attacked: Attacked) -> None:
    run = attacked.registry.run(attacked.ref.run_id)
    attacked.set_run_tag(DATA_DIGEST, "sha256:" + "1" * 64)
    planned = register(attacked.fresh, run_id=run.run_id, criteria=Criteria(), dry_run=True)
    assert planned.tags[DATA_DIGEST] == run.params[DATA_DIGEST]
    attacked.set_run_tag(PARENT_RUN, run.run_id)
    with pytest.raises(IntegrityError, match="is not what training logged"):
        register(attacked.fresh, run_id=run.run_id, criteria=Criteria(), dry_run=True)


def test_what_is_changed_after_the_promotion_is_told_by_the_ledgers_verification(
    attacked: Attacked, registered: RegisteredForTests
) -> None:
    # A registered model of its own: the version is promoted.
    registry = attacked.registry = attacked.fresh
    ref = attacked.ref = registered.register(registry)
    promote(registry, ref=ref, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE))
    context = context_of(os.environ, registered_model=ref.registered_model)
    clean = history.run(context, verify=True)
    assert (clean.findings, clean.differences, clean.notes) == ((), (), ())
    entry = clean.entries[-1]
    digest = (entry.report_digest or "").removeprefix("sha256:")
    attacked.replace(attacked.artifact(f"gate/{digest[:12]}/report.html"), b"<p>passed</p>")
    attacked.set_tags(seed="7")
    attacked.agree(git_commit="c" * 40)
    found = history.run(context, verify=True)
    assert ARTIFACT_DIGEST not in " ".join(found.differences), "manifest and tags agree"
    for told in (
        f"version 1: the parameter of the run {GIT_COMMIT} is",
        "version 1: entry 1 of the ledger put files with the digest",
        f"version 1: the gate's report gate/{digest[:12]}/report.html has the digest",
    ):
        assert any(told in each for each in found.differences), (told, found.differences)
    with pytest.raises(IntegrityError, match="not what their manifests record"):
        history.refuse_differences(found)
    sys.stdout.writelines(f"| {BOTH} | after the promotion | told | {each} |\n" for each in found.differences)

"""What a careless user, and whoever may write to MLflow and S3 but has no signing key, can do to a version before it is judged.

Each way is refused by the gate or by `register`, or told by `trace` and `history --verify`. The table is shown with `pytest -rP`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError, PasserelleError, RefusedError
from passerelle.names import (
    ARTIFACT_DIGEST,
    CRITERIA_DIGEST,
    DATA_DIGEST,
    GIT_COMMIT,
    GOLDEN,
    MANIFEST,
    PARENT_RUN,
    ModelVersionRef,
)
from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.registry.recorded_origin import recorded
from passerelle.registry.training_data import training_of
from passerelle.settings import MlflowSettings
from passerelle.stages import history, reproduce, trace
from passerelle.stages.context import context_of
from passerelle.stages.interpreter import Interpreter
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from tests.platform_fixtures import HERE, RegisteredForTests
from tests.version_attacks import BOTH, WAYS, Attacked, one_weight

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


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

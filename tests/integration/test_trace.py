"""From a prediction, an image, a bento, a version or a run back to the training, with what is missing named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError, NotFoundError, OutsideError
from passerelle.model.manifest import digest_of_manifest
from passerelle.model.prediction_id import new_prediction_id
from passerelle.names import MANIFEST
from passerelle.registry.client import Registry
from passerelle.registry.recorded_origin import recorded
from passerelle.stages import trace as stage
from passerelle.stages.context import context_of
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.trace import find_version, links_of
from tests.platform_fixtures import HERE, RegisteredForTests, changed_object, run_keys

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


def test_everything_leads_to_its_version(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    first, second = registered.register(registry, 0), registered.register(registry, 1)
    for asked, kind in (
        ("2", "model version"),
        (second.run_id, "run"),
        (new_prediction_id(second.run_id[:8]), "prediction"),
        (second.run_id[:8] + "0" * 24, "prediction"),
        (str(second.bento_model_tag), "bento tag"),
        (f"passerelle/{second.bento_model_tag}", "image"),
        (f"registry.example:5000/team/passerelle/{second.bento_model_tag}", "image"),
    ):
        found, version = find_version(registry, asked)
        assert (found, version.ref.version) == (kind, 2), asked
    assert find_version(registry, first.run_id)[1].ref.version == 1
    for asked in ("9", "0" * 32, "2625070700000000" * 2, "name:1-00000000", "nothing", new_prediction_id("0" * 8)):
        with pytest.raises(NotFoundError):
            find_version(registry, asked)


def test_the_chain_leads_to_the_data_and_to_who_promoted(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    ref = registered.register(registry, 0)
    _, version = find_version(registry, "1")
    before = {link.name: link for link in links_of(registry, version)}
    assert before["ledger entry"].value is None
    assert "never put into production" in before["ledger entry"].note
    promote(registry, ref=ref, criteria=LENIENT, request=PromotionRequest(who="marie@bureau", serving=HERE, reason="la première"))
    chain = {link.name: link for link in links_of(registry, find_version(registry, "1")[1])}
    assert chain["run"].value == ref.run_id
    for digest in ("artifact digest", "data digest", "criteria"):
        assert (chain[digest].value or "").startswith("sha256:")
    assert chain["ledger entry"].value == "1"
    assert "marie@bureau" in chain["ledger entry"].note
    assert "la première" in chain["ledger entry"].note
    assert list(chain) == ["model version", "artifact digest", "run", "data digest", "git commit", "seed", "criteria", "ledger entry"]


def test_an_image_of_any_name_is_what_its_labels_say(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    first, second = registered.register(registry, 0), registered.register(registry, 1)
    model = registry.settings.registered_model
    labels = {"passerelle.registered_model": model, "passerelle.version": "2", "passerelle.run_id": second.run_id}
    for name in ("name:1.0", "registry.example.org/x@sha256:" + "0" * 64, "sha256:" + "1" * 64, f"passerelle/{first.bento_model_tag}"):
        kind, version = find_version(registry, name, labels)
        assert (kind, version.ref.version) == ("image", 2), name
    assert find_version(registry, str(first.bento_model_tag), labels)[1].ref.version == 1
    for wrong, message in (
        ({}, "do not name a version"),
        ({**labels, "passerelle.run_id": first.run_id}, "not among those here"),
        ({**labels, "passerelle.registered_model": "other", "passerelle.run_id": "0" * 32}, "'other'"),
    ):
        with pytest.raises(NotFoundError, match=message):
            find_version(registry, "name:1.0", wrong)
    with pytest.raises(NotFoundError, match="no engine here holds it") as unknown:
        find_version(registry, "registry.example.org/x@sha256:" + "0" * 64)
    assert "docker pull registry.example.org/x@sha256:" in (unknown.value.hint or "")


def test_the_command_asks_the_engine_for_the_labels(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    registry = registered.fresh()
    ref, model = registered.register(registry, 0), registry.settings.registered_model
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path))
    labels = {"passerelle.registered_model": model, "passerelle.version": "1", "passerelle.run_id": ref.run_id}
    monkeypatch.setattr(stage, "labels_of", lambda name: labels if name == "registry.example.org/x@sha256:0" else None)
    traced = stage.run(context_of(os.environ, registered_model=model), "docker-pullable://registry.example.org/x@sha256:0")
    assert (traced.kind, traced.version) == ("image", 1)


def test_a_promotion_that_was_undone_put_nothing_into_production(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registered.fresh()
    first, second = registered.register(registry, 0), registered.register(registry, 1)
    promote(registry, ref=first, criteria=LENIENT, request=PromotionRequest(who="marie@bureau", serving=HERE))

    def broken(*_: object) -> None:
        raise OutsideError("MLflow went away")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "set_stage", broken)
        with pytest.raises(OutsideError, match="went away"):
            promote(registry, ref=second, criteria=LENIENT, request=PromotionRequest(who="paul@bureau", serving=HERE))

    def entry(version: str) -> tuple[str | None, str]:
        link = {link.name: link for link in links_of(registry, find_version(registry, version)[1])}["ledger entry"]
        return link.value, link.note

    assert entry("2") == (None, "it was never put into production")
    assert entry("1")[0] == "1"


def test_the_manifest_says_where_a_version_comes_from_and_edited_tags_are_told(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = registered.fresh()
    ref, model = registered.register(registry, 0), registry.settings.registered_model
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path))
    context = context_of(os.environ, registered_model=model)
    assert stage.run(context, "1").differences == ()
    run = registry.run(ref.run_id)
    registry.set_version_tags(ref, {"passerelle.git_dirty": "maybe", "passerelle.git_commit": "c" * 40})
    registry.delete_version_tag(ref, "passerelle.seed")
    traced = stage.run(context, "1")
    chain = {link.name: link for link in traced.links}
    assert (chain["git commit"].value, chain["seed"].value) == (run.params["passerelle.git_commit"], run.params["passerelle.seed"])
    assert traced.differences == (
        f"the tag of the version passerelle.git_commit is '{'c' * 40}', the manifest says '{run.tags['passerelle.git_commit']}'",
        f"the tag of the version passerelle.git_dirty is 'maybe', the manifest says '{run.tags['passerelle.git_dirty']}'",
        "the tag of the version passerelle.seed is not there, the manifest says '0'",
    )
    with pytest.raises(IntegrityError, match="3 things that are said of version 1 are not what its manifest records"):
        stage.refuse_differences(traced)


def test_an_older_version_is_said_to_have_tags_alone(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    ref = registered.register(registry, 0)
    manifest = registry.read_json(ref.run_id, MANIFEST)
    older = {name: value for name, value in manifest.items() if name != "provenance"}
    registry.set_version_tags(ref, {"passerelle.artifact_digest": digest_of_manifest(older)})
    [key] = run_keys(registry, ref.run_id, MANIFEST)
    with changed_object(registry, key, lambda _: json.dumps(older).encode()):
        for dirty, note in (("true", "trained with changes that no commit holds"), ("false", "")):
            registry.set_version_tags(ref, {"passerelle.git_dirty": dirty, "passerelle.git_commit": "c" * 40})
            version = find_version(registry, "1")[1]
            chain = {link.name: link for link in links_of(registry, version)}
            assert (chain["git commit"].value, chain["git commit"].note) == ("c" * 40, note)
            assert "an older one without provenance" in chain["artifact digest"].note
            assert recorded(registry, version).differences == ()

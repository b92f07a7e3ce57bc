"""The gate judges what was registered: files of a version, or of its training's data, that were changed since are refused."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from passerelle.criteria import Criteria, Waivable
from passerelle.errors import IntegrityError, NotFoundError, RefusedError
from passerelle.gate.held_out import VersionFiles, held_out, train_hashes
from passerelle.model.manifest import digest_of_manifest
from passerelle.names import HELD_OUT, MANIFEST, TRAIN_HASHES, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.sign import verify_version
from passerelle.settings import SigningSettings
from passerelle.stages.authenticity import examined
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from tests.platform_fixtures import HERE, RegisteredForTests, changed_object, flipped, model_keys, moved, run_keys
from tests.signing_fixtures import Keys, unsigned

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0, "resamples": 100}})


@dataclass(frozen=True)
class Two:
    """A champion in production, and a challenger."""

    registry: Registry
    champion: ModelVersionRef
    challenger: ModelVersionRef

    def judge(self) -> None:
        assert promote(
            self.registry, ref=self.challenger, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE), dry_run=True
        )


@pytest.fixture
def two(registered: RegisteredForTests) -> Two:
    registry = registered.fresh()
    champion = registered.register(registry, 0)
    moved(registry, champion)
    return Two(registry, champion, registered.register(registry, 1))


def test_one_flipped_byte_in_any_file_of_either_is_refused(two: Two) -> None:
    # Without the champion, a person with a reason may go on.
    for ref, refusal in ((two.challenger, IntegrityError), (two.champion, RefusedError)):
        keys = [*model_keys(two.registry, ref.run_id), *run_keys(two.registry, ref.run_id, "golden.json", "passerelle/manifest.json")]
        assert len(keys) >= 8
        for key in keys:
            with changed_object(two.registry, key, flipped), pytest.raises(refusal):
                two.judge()
    two.judge()


def test_a_decoy_in_the_place_of_the_registered_model_is_not_judged(two: Two) -> None:
    decoy, _ = two.registry.objects.read(next(key for key in model_keys(two.registry, two.champion.run_id) if key.endswith("model.skops")))
    key = next(key for key in model_keys(two.registry, two.challenger.run_id) if key.endswith("model.skops"))
    with (
        changed_object(two.registry, key, lambda _: decoy),
        pytest.raises(IntegrityError, match=r"version 2.*model\.skops is not the one that was registered"),
    ):
        two.judge()
    with changed_object(two.registry, key, lambda _: None), pytest.raises(IntegrityError, match=r"model\.skops is missing"):
        two.judge()


def test_a_champion_from_before_there_were_digests_is_judged_as_it_is(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    run_id = registered.run_ids[0]
    old = registry.create_version(registry.settings.registered_model, run_id, registry.model_uri(run_id), {})
    registry.set_alias(old, registry.settings.alias)
    Two(registry, old, registered.register(registry, 1)).judge()


def test_the_training_s_data_is_that_of_the_registration(two: Two, registered: RegisteredForTests) -> None:
    registry, training = two.registry, registered.parent_run_id
    assert set(registry.read_json(two.challenger.run_id, "passerelle/manifest.json")["training"]) == {HELD_OUT, TRAIN_HASHES}
    (held_out,), (hashes,) = (run_keys(registry, training, name) for name in (HELD_OUT, TRAIN_HASHES))

    def easier(content: bytes) -> bytes:
        return pd.read_parquet(io.BytesIO(content)).iloc[:40].to_parquet()

    for key, name, change in (
        (held_out, "held_out.parquet", easier),
        (held_out, "held_out.parquet", flipped),
        (hashes, "train_hashes.json", lambda _: json.dumps({"rows": []}).encode()),
    ):
        with changed_object(registry, key, change), pytest.raises(IntegrityError, match=f"{name} of the training .* was registered with"):
            two.judge()
    with changed_object(registry, held_out, lambda _: None), pytest.raises(NotFoundError, match="nothing to judge by"):
        two.judge()
    with changed_object(registry, hashes, lambda _: None), pytest.raises(NotFoundError, match="does not say what it learned from"):
        two.judge()


@pytest.mark.parametrize("content", [b"", b"PAR1 no", b"{}", b'{"rows": [[1]]}', b'{"rows": 3}', b"[" * 200_000, b"\xff"])
def test_data_that_cannot_be_read_is_a_failure_of_integrity(content: bytes, tmp_path: Path) -> None:
    class Stored:
        def run_artifact(self, _run: str, _name: str, folder: Path) -> Path:
            (folder / "file").write_bytes(content)
            return folder / "file"

    files = VersionFiles(ModelVersionRef("m", 1, "r" * 32), tmp_path, "t" * 32, {})
    for read in (held_out, train_hashes):
        with pytest.raises(IntegrityError, match="cannot be read"):
            read(cast(Any, Stored()), files, tmp_path)


def test_a_version_from_before_the_data_was_recorded_is_judged_and_can_be_signed(two: Two, ours: Keys, tmp_path: Path) -> None:
    registry, run_id = two.registry, two.challenger.run_id
    digests = {info.ref: info.tags["passerelle.artifact_digest"] for info in registry.versions_of_run(run_id)}
    whole = registry.read_json(run_id, MANIFEST)
    manifest = examined(registry, run_id, tmp_path, criteria_digest=Criteria().digest).manifest
    del manifest["training"], manifest["provenance"]
    key = SigningSettings.read(signing_key=ours.private)
    with unsigned(registry, run_id):
        try:
            registry.write_json(run_id, MANIFEST, manifest)
            for ref in digests:
                registry.set_version_tags(ref, {"passerelle.artifact_digest": digest_of_manifest(manifest)})
            promote(registry, ref=two.challenger, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE))
            assert not register(registry, run_id=run_id, criteria=Criteria(), signing=key).created
            assert verify_version(registry, two.challenger, manifest, key)
        finally:
            registry.write_json(run_id, MANIFEST, whole)
            for ref, digest in digests.items():
                registry.set_version_tags(ref, {"passerelle.artifact_digest": digest})


def test_what_the_champion_learned_from_is_gone_and_that_is_said(two: Two, registered: RegisteredForTests) -> None:
    # Both come from one training: the challenger must keep what the champion loses.
    def known(registry: Registry, files: VersionFiles, folder: Path) -> frozenset[str] | None:
        return None if files.ref.version == 1 else train_hashes(registry, files, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("passerelle.gate.evidence.train_hashes", known)
        with pytest.raises(RefusedError, match="the run of version 1 no longer says what it learned from"):
            two.judge()
        criteria = LENIENT.model_copy(update={"waivable": (Waivable(check="training_rows", by=("test",)),)})
        request = PromotionRequest(who="test@here", serving=HERE, waive=("training_rows",), reason="it is known")
        assert promote(two.registry, ref=two.challenger, criteria=criteria, request=request, dry_run=True).changed


def test_a_model_that_cannot_predict_is_refused_without_a_word_of_a_record(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Any, table: pd.DataFrame) -> None:
        raise NotFittedError(f"could not convert {table['text'].iloc[0]}")

    monkeypatch.setattr("sklearn.pipeline.Pipeline.predict", fails)
    with pytest.raises(IntegrityError, match=r"does not predict the held-out rows: NotFittedError$") as refused:
        two.judge()
    assert refused.value.__suppress_context__

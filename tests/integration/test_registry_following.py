"""What a service that follows the registry downloads through MLflow: a version's bundle, and the line of its ledger entry."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError, OutsideError
from passerelle.model.ledger_entry import check_entry_signature, digest_of, parsed_entry
from passerelle.model.manifest import digest_of_file, digest_of_manifest
from passerelle.model.verify import check_stored_signature
from passerelle.names import (
    ARTIFACT_DIGEST,
    BUNDLE,
    BUNDLE_DIGEST,
    GOLDEN,
    LEDGER_ENTRY,
    MANIFEST,
    SIGNATURE,
    ModelVersionRef,
    ledger_artifact,
)
from passerelle.registry import production as move
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Ledger
from passerelle.registry.production import Standing
from passerelle.registry.sign import stored_signature
from passerelle.settings import SigningSettings
from passerelle.stages.promote import Promotion, PromotionRequest, promote
from passerelle.stages.register import Registered, register
from passerelle.stages.rollback import rollback
from tests.platform_fixtures import HERE, RegisteredForTests, changed_object, flipped, model_keys, run_keys
from tests.signing_fixtures import Keys, unsigned

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0, "resamples": 100}})


def downloaded(registry: Registry, run_id: str, path: str) -> bytes:
    """Return an artifact as MLflow's own route gives it, which needs no key of S3."""
    answer = requests.get(f"{registry.settings.tracking_uri}/get-artifact", params={"run_id": run_id, "path": path}, timeout=60)
    answer.raise_for_status()
    return answer.content


def extracted(registry: Registry, run_id: str, into: Path) -> Path:
    """Return where the run's bundle is extracted."""
    with tarfile.open(fileobj=io.BytesIO(downloaded(registry, run_id, BUNDLE))) as archive:
        archive.extractall(into, filter="data")
    return into


def again(registry: Registry, run_id: str, **how: Any) -> Registered:
    return register(registry, run_id=run_id, criteria=Criteria(), **how)


def put(registry: Registry, ref: ModelVersionRef, **how: Any) -> Promotion:
    return promote(registry, ref=ref, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE, **how))


def test_the_bundle_holds_the_files_of_the_manifest_to_the_byte(registered: RegisteredForTests, tmp_path: Path) -> None:
    registry, run_id = registered.fresh(), registered.run_ids[0]
    ref = registered.register(registry)
    place = extracted(registry, run_id, tmp_path / "extracted")
    manifest = json.loads((place / "manifest.json").read_bytes())
    assert digest_of_manifest(manifest) == registry.model_version(ref.registered_model, ref.version).tags[ARTIFACT_DIGEST]
    assert manifest == registry.read_json(run_id, MANIFEST)
    held = {path.relative_to(place).as_posix(): digest_of_file(path) for path in place.rglob("*") if path.is_file()}
    expected = {f"mlflow_model/{name}": digest for name, digest in manifest["files"].items() if name != "model.skops"}
    assert "mlflow_model/scorer/scorer.json" in expected
    beside = {name: digest for name, digest in held.items() if not name.startswith("mlflow_model/")}
    assert {name: digest for name, digest in held.items() if name not in beside} == expected
    assert beside["golden.json"] == digest_of_file(registry.run_artifact(run_id, GOLDEN, tmp_path / "beside")) == manifest["golden"]
    assert beside.keys() - {"manifest.sig"} == {"manifest.json", "golden.json"}


def test_a_version_without_a_bundle_is_completed_once_its_files_are_those_that_were_registered(registered: RegisteredForTests) -> None:
    registry, run_id = registered.fresh(), registered.run_ids[0]
    ref = registered.register(registry)
    assert again(registry, run_id).completed == ()
    [key] = run_keys(registry, run_id, BUNDLE)
    whole, _ = registry.objects.read(key)
    registry.objects.delete(key)
    try:
        planned = again(registry, run_id, dry_run=True)
        assert (planned.ref, planned.created, planned.completed) == (ref, False, (BUNDLE,))
        [golden] = [each for each in model_keys(registry, run_id) if each.endswith("scorer/scorer.json")]
        with changed_object(registry, golden, flipped), pytest.raises(IntegrityError):
            again(registry, run_id)
        assert run_keys(registry, run_id, BUNDLE) == []
        done = again(registry, run_id)
        assert (done.ref, done.created, done.completed) == (ref, False, (BUNDLE,))
        assert registry.objects.read(key)[0] == whole, "the same bytes as at registration"
        assert registry.model_version(ref.registered_model, ref.version).tags[BUNDLE_DIGEST] == digest_of(whole)
        assert again(registry, run_id).completed == ()
        for damage in (flipped(whole), whole[:-10_240], b""):
            registry.objects.delete(key)
            registry.objects.create(key, damage)
            assert again(registry, run_id).completed == (BUNDLE,)
            assert registry.objects.read(key)[0] == whole
    finally:
        registry.objects.delete(key)
        registry.objects.create(key, whole)


def test_a_version_that_is_signed_later_gets_the_signature_in_its_bundle(
    registered: RegisteredForTests, ours: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, run_id = registered.fresh(), registered.run_ids[1]
    key = SigningSettings.read(signing_key=ours.private)
    with unsigned(registry, run_id):
        ref = registered.register(registry, 1)
        assert not (extracted(registry, run_id, tmp_path / "before") / "manifest.sig").exists()

        def fails(*_: object) -> None:
            raise OutsideError("S3 went away")

        with monkeypatch.context() as broken, pytest.raises(OutsideError, match="went away"):
            broken.setattr(registry, "write_text", fails)
            again(registry, run_id, signing=key)
        done = again(registry, run_id, signing=key)
        assert (done.ref, done.created, done.completed) == (ref, False, (SIGNATURE, BUNDLE))
        place = extracted(registry, run_id, tmp_path / "after")
        assert (place / "manifest.sig").read_text() == stored_signature(registry, run_id)
        assert check_stored_signature(place, json.loads((place / "manifest.json").read_bytes()), key, run_id=run_id)
        assert again(registry, run_id, signing=key).completed == ()


def published(registry: Registry, entries: int) -> None:
    """Check what MLflow tells of the version in production against the ledger's last entry, of this number."""
    name = registry.settings.registered_model
    version = registry.model_version(name, registry.aliases(name)["production"])
    line = registry.objects.read(Ledger(registry.objects, name).key(entries))[0]
    assert version.tags[LEDGER_ENTRY] == registry.model_tags(name)[LEDGER_ENTRY] == f"{entries} {digest_of(line)}"
    assert downloaded(registry, version.ref.run_id, ledger_artifact(entries)) == line
    entry = parsed_entry(line)
    assert entry is not None
    assert (entry.to_version, entry.run_id, entry.artifact_digest) == (
        version.ref.version,
        version.ref.run_id,
        version.tags[ARTIFACT_DIGEST],
    )


def test_a_promotion_a_rollback_and_an_undoing_are_published_beside_the_model(
    registered: RegisteredForTests, ours: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, key = registered.fresh(), SigningSettings.read(signing_key=ours.private)
    refs = [again(registry, run_id, signing=key).ref for run_id in registered.run_ids]
    first, second = (ref for ref in refs if ref is not None)
    put(registry, first, signing=key)
    published(registry, 1)
    put(registry, second, signing=key)
    published(registry, 2)
    rollback(registry, who="test@here", signing=key)
    published(registry, 3)
    real = move.plan

    def breaks(held: Registry, ref: ModelVersionRef, now: Standing) -> list[tuple[str, Callable[[], None]]]:
        def fails() -> None:
            raise OutsideError("MLflow went away")

        return [*real(held, ref, now)[:2], ("break", fails)]

    with monkeypatch.context() as patch, pytest.raises(OutsideError, match="went away"):
        patch.setattr(move, "plan", breaks)
        put(registry, second, signing=key)
    published(registry, 5)
    name = registry.settings.registered_model
    undone = parsed_entry(registry.objects.read(Ledger(registry.objects, name).key(5))[0])
    assert undone is not None
    assert (undone.what, undone.to_version) == ("undone", 1)
    check_entry_signature(undone, SigningSettings.read(verify_key=ours.public))
    [lost] = run_keys(registry, first.run_id, ledger_artifact(5))
    registry.objects.delete(lost)
    done = put(registry, first, signing=key)
    assert (done.changed, done.completed) == (False, (f"artifact {ledger_artifact(5)} of the run {first.run_id}",))
    published(registry, 5)

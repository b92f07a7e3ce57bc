"""Signed at registration, verified at every door after it: unsigned, another key's and changed models are refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from passerelle.bentos.build import build
from passerelle.bentos.store import latest_bento_model
from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError, PasserelleError, SettingsError
from passerelle.model.loaded import load_model
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import SIGNATURE
from passerelle.registry.client import Registry
from passerelle.registry.sign import sign
from passerelle.settings import SigningSettings, StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from tests.platform_fixtures import HERE, RegisteredForTests
from tests.service_fixtures import ROOT
from tests.signing_fixtures import MANIFEST, RUN, Keys, check, make_keys, payload_changed, unsigned

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


def test_a_signature_is_good_for_its_manifest_its_run_and_its_key_alone(ours: Keys, theirs: Keys) -> None:
    bundle = sign(MANIFEST, SigningSettings.read(signing_key=ours.private), run_id=RUN)
    assert bundle is not None
    good = SigningSettings.read(verify_key=ours.public)
    assert check(MANIFEST, bundle, good) == "sha256:" + json.loads(bundle)["verificationMaterial"]["publicKey"]["hint"]
    for manifest, signature, settings, run_id, message in (
        ({**MANIFEST, "golden": "sha256:c"}, bundle, good, RUN, "not for these files"),
        (MANIFEST, bundle, SigningSettings.read(verify_key=theirs.public), RUN, "not by a key of"),
        (MANIFEST, bundle, good, "b" * 32, "another run"),
        (MANIFEST, payload_changed(bundle), good, "b" * 32, "not by a key of"),
        (MANIFEST, bundle.replace("payload", "paylaod", 1), good, RUN, "not a readable bundle"),
        (MANIFEST, "{}", good, RUN, "not a readable bundle"),
        (MANIFEST, "[]", good, RUN, "not a readable bundle"),
        (MANIFEST, "", good, RUN, "not a readable bundle"),
        (MANIFEST, "[" * 100_000, good, RUN, "not a readable bundle"),
        (MANIFEST, json.dumps({**json.loads(bundle), "verificationMaterial": []}), good, RUN, "not a readable bundle"),
        (MANIFEST, None, good, RUN, "not signed"),
    ):
        with pytest.raises(IntegrityError, match=message):
            check(manifest, signature, settings, run_id)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: str(curve.name))
def test_model_signing_itself_takes_the_signature(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    keys = make_keys(tmp_path, "any", curve)
    bundle = sign(MANIFEST, SigningSettings.read(signing_key=keys.private), run_id=RUN)
    assert bundle is not None
    assert check(MANIFEST, bundle, SigningSettings.read(verify_key=keys.public)) is not None
    (tmp_path / RUN).mkdir()
    (tmp_path / RUN / "manifest.json").write_text(json.dumps(MANIFEST, sort_keys=True, separators=(",", ":")))
    (tmp_path / "manifest.sig").write_text(bundle)
    command = ["verify", "key", str(tmp_path / RUN), "--signature", str(tmp_path / "manifest.sig"), "--public_key", str(keys.public)]
    done = subprocess.run([sys.executable, "-m", "model_signing", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_key_of_a_folder_is_good(tmp_path: Path, ours: Keys, theirs: Keys) -> None:
    ring = tmp_path / "ring"
    ring.mkdir()
    for keys in (ours, theirs):
        shutil.copy(keys.public, ring)
    for keys in (ours, theirs):
        bundle = sign(MANIFEST, SigningSettings.read(signing_key=keys.private), run_id=RUN)
        assert check(MANIFEST, bundle, SigningSettings.read(verify_key=ring)) is not None
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="no key is set"):
        check(MANIFEST, "{}", SigningSettings.read(verify_key=tmp_path / "empty"))


def test_required_follows_the_key_unless_it_is_said(ours: Keys, theirs: Keys) -> None:
    assert not SigningSettings.read().required
    assert SigningSettings.read(verify_key=ours.public).required
    assert not SigningSettings.read(verify_key=ours.public, verify="off").required
    with pytest.raises(SettingsError, match="no key is set"):
        check(MANIFEST, "{}", SigningSettings.read(verify="required"))
    # Where only the key that signs is set, its public half is what is trusted.
    own = SigningSettings.read(signing_key=ours.private)
    assert own.required
    assert check(MANIFEST, sign(MANIFEST, own, run_id=RUN), own) is not None
    with pytest.raises(IntegrityError, match="not by a key of"):
        check(MANIFEST, sign(MANIFEST, SigningSettings.read(signing_key=theirs.private), run_id=RUN), own)


def test_a_key_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("monsecret")
    with pytest.raises(SettingsError, match=r"broken\.pem cannot sign") as refused:
        sign(MANIFEST, SigningSettings.read(signing_key=broken), run_id=RUN)
    assert "monsecret" not in str(refused.value)
    rsa_key = rsa.generate_private_key(65537, 2048).public_key()
    other = tmp_path / "rsa.pem"
    other.write_bytes(rsa_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    for path in (broken, other, tmp_path / "missing.pem"):
        with pytest.raises(SettingsError, match=f"{path.name} cannot verify"):
            check(MANIFEST, "{}", SigningSettings.read(verify_key=path))


@dataclass(frozen=True)
class Signed:
    """A registry with a signed version and an unsigned one, and a store."""

    registry: Registry
    store: StoreSettings


@pytest.fixture
def signed(registered: RegisteredForTests, ours: Keys, tmp_path: Path) -> Iterator[Signed]:
    registry = registered.fresh()
    register(registry, run_id=registered.run_ids[0], criteria=Criteria(), signing=SigningSettings.read(signing_key=ours.private))
    yield Signed(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml"))


def test_what_is_signed_goes_the_whole_way_and_nothing_else(signed: Signed, ours: Keys, theirs: Keys) -> None:
    registry, store = signed.registry, signed.store
    good, bad = SigningSettings.read(verify_key=ours.public), SigningSettings.read(verify_key=theirs.public)
    first = registry.model_version(registry.settings.registered_model, 1).ref
    with pytest.raises(IntegrityError, match=r"the signature of .* is not by"):
        promote(registry, ref=first, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE, signing=bad))
    promote(registry, ref=first, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE, signing=good))
    with pytest.raises(IntegrityError, match=r"the signature of .* is not by"):
        import_model(registry, store, signing=bad)
    assert latest_bento_model(store) is None
    imported = import_model(registry, store, signing=good)
    assert imported.path is not None
    with pytest.raises(IntegrityError, match=r"cannot be trusted: the signature of .* is not by"):
        import_model(registry, store, signing=bad)
    loaded = load_model(imported.path, signing=good)
    assert (loaded.signer is not None, loaded.scorer is not None) == (True, True)
    with pytest.raises(IntegrityError, match=r"the signature of .* is not by"):
        load_model(imported.path, signing=bad)
    (imported.path / "manifest.sig").unlink()
    for refused in (
        lambda: build(store, bento_model_tag=imported.bento_model_tag, project=ROOT, signing=good),
        lambda: load_model(imported.path or Path(), signing=good),
        lambda: import_model(registry, store, signing=good),
    ):
        with pytest.raises(IntegrityError, match="is not signed"):
            refused()
    load_model(imported.path, signing=SigningSettings.read(verify_key=ours.public, verify="off"))


def test_what_was_registered_before_the_key_is_signed_by_registering_it_again(
    registered: RegisteredForTests, ours: Keys, tmp_path: Path
) -> None:
    registry = registered.fresh()
    run_id = registered.run_ids[1]
    key = SigningSettings.read(signing_key=ours.private)
    with unsigned(registry, run_id):
        ref = registered.register(registry, 1)
        with pytest.raises(IntegrityError, match="is not signed") as told:
            import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml"), ref=ref, signing=key)
        assert f"passerelle register --run {run_id}" in str(told.value.hint)
        again = register(registry, run_id=run_id, criteria=Criteria(), signing=key)
        assert (again.created, again.ref) == (False, ref)
        assert import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml"), ref=ref, signing=key).created
        registry.write_text(run_id, SIGNATURE, "")
        with pytest.raises(IntegrityError, match="not a readable bundle"):
            register(registry, run_id=run_id, criteria=Criteria(), signing=key)


def test_a_signed_model_in_the_place_of_another_is_refused(signed: Signed, registered: RegisteredForTests, ours: Keys) -> None:
    registry, good = signed.registry, SigningSettings.read(signing_key=ours.private)
    second = register(registry, run_id=registered.run_ids[1], criteria=Criteria(), signing=good)
    one, two = (import_model(registry, signed.store, ref=registry.model_version(second.registered_model, n).ref) for n in (1, 2))
    assert one.path is not None
    assert two.path is not None
    lineage = {name: json.loads((path / "lineage.json").read_text()) for name, path in (("one", one.path), ("two", two.path))}
    shutil.rmtree(two.path / "mlflow_model")
    shutil.copytree(one.path, two.path, dirs_exist_ok=True)
    said = lineage["two"] | {"artifact_digest": lineage["one"]["artifact_digest"]}
    (two.path / "lineage.json").write_text(json.dumps(said))
    with pytest.raises(IntegrityError, match=r"lineage\.json and model\.yaml"):
        load_model(two.path)
    (two.path / "model.yaml").unlink()
    load_model(two.path)
    with pytest.raises(IntegrityError, match="another run's model"):
        load_model(two.path, signing=good)


def test_the_signature_covers_the_compiled_scorer(signed: Signed, ours: Keys) -> None:
    good = SigningSettings.read(verify_key=ours.public)
    ref = signed.registry.model_version(signed.registry.settings.registered_model, 1).ref
    imported = import_model(signed.registry, signed.store, ref=ref, signing=good)
    assert imported.path is not None
    loaded = load_model(imported.path, signing=good)
    assert loaded.scorer is not None
    assert not loaded.pipeline.is_loaded, "the scorer of the registration answers, and none compiled here"
    # Whoever can write to the store can make a manifest for another scorer, and no signature for it.
    for path in (imported.path / "mlflow_model" / "scorer").glob("*.npy"):
        path.write_bytes(b"other")
    manifest = manifest_of(imported.path / "mlflow_model", imported.path / "golden.json")
    (imported.path / "manifest.json").write_text(json.dumps(manifest))
    lineage = json.loads((imported.path / "lineage.json").read_text()) | {"artifact_digest": digest_of_manifest(manifest)}
    (imported.path / "lineage.json").write_text(json.dumps(lineage))
    (imported.path / "model.yaml").unlink()
    with pytest.raises(IntegrityError, match="not for these files"):
        load_model(imported.path, signing=good)


def test_one_flipped_byte_in_any_file_is_noticed_at_import_at_build_and_at_load(signed: Signed, ours: Keys) -> None:
    registry = signed.registry
    good = SigningSettings.read(verify_key=ours.public)
    ref = registry.model_version(registry.settings.registered_model, 1).ref
    imported = import_model(registry, signed.store, ref=ref, signing=good)
    assert imported.path is not None
    folder = imported.path / "mlflow_model"
    kept = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    kept += [imported.path / name for name in ("golden.json", "manifest.json", "manifest.sig")]
    assert len(kept) >= 9
    for path in kept:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :])
        with pytest.raises(IntegrityError):
            load_model(imported.path, signing=good)
        with pytest.raises(IntegrityError):
            build(signed.store, bento_model_tag=imported.bento_model_tag, project=ROOT, signing=good)
        path.write_bytes(content)
    load_model(imported.path, signing=good)
    shutil.rmtree(imported.path)
    in_s3 = [
        key
        for key in registry.objects.keys("mlflow/")
        if f"/{ref.run_id}/" in key and key.endswith((".sig", "manifest.json", "golden.json"))
    ]
    assert len(in_s3) == 3
    for key in [*in_s3, *(key for key in model_keys(registry, ref.run_id))]:
        content, _ = registry.objects.read(key)
        registry.objects.delete(key)
        registry.objects.create(
            key, content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
        )
        try:
            with pytest.raises(PasserelleError):
                import_model(registry, signed.store, ref=ref, signing=good)
        finally:
            registry.objects.delete(key)
            registry.objects.create(key, content)
    assert import_model(registry, signed.store, ref=ref, signing=good).created


def model_keys(registry: Registry, run_id: str) -> list[str]:
    """Return the objects of the run's model, as they lie in S3."""
    folder = registry.model_uri(run_id).removeprefix("models:/")
    return [key for key in registry.objects.keys("mlflow/") if f"/{folder}/" in key]

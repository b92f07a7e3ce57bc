"""Signed at registration, verified at every door after it: unsigned, another key's and changed models are refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from passerelle.bentos.build import build
from passerelle.bentos.import_model import import_model
from passerelle.errors import IntegrityError, SettingsError
from passerelle.registry.client import Registry
from passerelle.registry.criteria import Criteria
from passerelle.registry.promote import Asked, promote
from passerelle.registry.register import register
from passerelle.registry.signature import sign, verify
from passerelle.serving.model import load_model
from passerelle.settings import SigningSettings, StoreSettings
from tests.platform_fixtures import RegisteredForTests
from tests.service_fixtures import ROOT

pytestmark = pytest.mark.integration
MANIFEST = {"schema": 1, "files": {"MLmodel": "sha256:a"}, "golden": "sha256:b"}
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


@dataclass(frozen=True)
class Keys:
    private: Path
    public: Path


def make_keys(folder: Path, name: str) -> Keys:
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(encoding, form))
    return Keys(private, public)


@pytest.fixture
def ours(tmp_path: Path) -> Keys:
    return make_keys(tmp_path, "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Keys:
    return make_keys(tmp_path, "theirs")


def test_a_signature_is_good_for_its_manifest_and_its_key_alone(ours: Keys, theirs: Keys) -> None:
    bundle = sign(MANIFEST, SigningSettings.read(signing_key=ours.private))
    assert bundle is not None
    good = SigningSettings.read(verify_key=ours.public)
    verify(MANIFEST, bundle, good, of="it")
    for manifest, signature, settings in (
        ({**MANIFEST, "golden": "sha256:c"}, bundle, good),
        (MANIFEST, bundle, SigningSettings.read(verify_key=theirs.public)),
        (MANIFEST, bundle.replace("payload", "paylaod", 1), good),
        (MANIFEST, "{}", good),
        (MANIFEST, None, good),
    ):
        with pytest.raises(IntegrityError):
            verify(manifest, signature, settings, of="it")


def test_required_follows_the_key_unless_it_is_said(ours: Keys) -> None:
    assert not SigningSettings.read().required
    assert SigningSettings.read(verify_key=ours.public).required
    assert not SigningSettings.read(verify_key=ours.public, verify="off").required
    with pytest.raises(SettingsError, match="no key is set"):
        verify(MANIFEST, "{}", SigningSettings.read(verify="required"), of="it")


def test_a_key_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("monsecret")
    with pytest.raises(SettingsError, match=r"broken\.pem cannot sign") as refused:
        sign(MANIFEST, SigningSettings.read(signing_key=broken))
    assert "monsecret" not in str(refused.value)
    with pytest.raises(SettingsError, match=r"broken\.pem cannot verify"):
        verify(MANIFEST, "{}", SigningSettings.read(verify_key=broken), of="it")


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
    registry = signed.registry
    good, bad = SigningSettings.read(verify_key=ours.public), SigningSettings.read(verify_key=theirs.public)
    first = registry.model_version(registry.settings.registered_model, 1).ref
    with pytest.raises(IntegrityError, match=r"the signature of .* is not by"):
        promote(registry, ref=first, criteria=LENIENT, asked=Asked(who="test@here", signing=bad))
    promote(registry, ref=first, criteria=LENIENT, asked=Asked(who="test@here", signing=good))
    with pytest.raises(IntegrityError, match=r"the signature of .* is not by"):
        import_model(registry, signed.store, signing=bad)
    imported = import_model(registry, signed.store, signing=good)
    assert imported.path is not None
    built = build(signed.store, bento_model_tag=imported.bento_model_tag, project=ROOT, signing=good)
    assert built.created
    assert built.path is not None
    shutil.rmtree(built.path)
    (imported.path / "manifest.sig").unlink()
    with pytest.raises(IntegrityError, match="is not signed"):
        build(signed.store, bento_model_tag=imported.bento_model_tag, project=ROOT, signing=good)


def test_one_flipped_byte_in_any_file_is_noticed_at_build_and_at_load(signed: Signed, ours: Keys) -> None:
    registry = signed.registry
    good = SigningSettings.read(verify_key=ours.public)
    ref = registry.model_version(registry.settings.registered_model, 1).ref
    imported = import_model(registry, signed.store, ref=ref, signing=good)
    assert imported.path is not None
    load_model(imported.path)
    kept = [path for path in sorted(imported.path.rglob("*")) if path.is_file() and path.name not in {"model.yaml", "lineage.json"}]
    tried = 0
    for path in kept:
        content = path.read_bytes()
        if not content:
            continue
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises((IntegrityError, ValueError)):
            load_model(imported.path)
            build(signed.store, bento_model_tag=imported.bento_model_tag, project=ROOT, signing=good)
        path.write_bytes(content)
        tried += 1
    assert tried >= 8
    load_model(imported.path)

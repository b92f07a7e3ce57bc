"""A certificate in the place of a key: good where it leads to the root that the operator trusts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import verifying

from passerelle.errors import IntegrityError, SettingsError
from passerelle.registry.sign import sign
from passerelle.settings import SigningSettings
from tests.signing_fixtures import MANIFEST, RUN, Authority, Keys, authority, check, issued, make_keys, payload_changed, pem, signer

pytestmark = pytest.mark.integration


def test_a_certificate_that_leads_to_the_operators_root_is_good(tmp_path: Path) -> None:
    root = authority("root")
    team = authority("team", root)
    settings = signer(tmp_path, team)
    bundle = sign(MANIFEST, settings, run_id=RUN)
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "root.crt").write_bytes(pem(root.certificate))
    make_keys(trusted, "another")
    (trusted / "another.pem").unlink()
    found = check(MANIFEST, bundle, SigningSettings.read(verify_key=trusted))
    assert found is not None
    assert found.startswith("sha256:")
    assert check(MANIFEST, bundle, SigningSettings.read(verify_key=trusted / "root.crt")) == found
    with pytest.raises(IntegrityError, match="not for these files"):
        check(MANIFEST | {"golden": "sha256:c"}, bundle, SigningSettings.read(verify_key=trusted))
    with pytest.raises(IntegrityError, match="not by a key"):
        check(MANIFEST, payload_changed(str(bundle)), SigningSettings.read(verify_key=trusted))
    # The library's own verifier agrees.
    folder = tmp_path / RUN
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST, sort_keys=True, separators=(",", ":")))
    (tmp_path / "bundle").write_text(str(bundle))
    verifier: Any = verifying.Config()  # type: ignore[no-untyped-call]
    verifier.use_certificate_verifier(certificate_chain=[trusted / "root.crt"]).verify(folder, tmp_path / "bundle")


def test_a_certificate_alone_is_enough_to_sign(tmp_path: Path) -> None:
    root = authority("root")
    settings = signer(tmp_path, root)
    (tmp_path / "signer.crt").write_bytes(pem(*x509.load_pem_x509_certificates((tmp_path / "signer.crt").read_bytes())[:1]))
    (tmp_path / "root.crt").write_bytes(pem(root.certificate))
    assert check(MANIFEST, sign(MANIFEST, settings, run_id=RUN), SigningSettings.read(verify_key=tmp_path / "root.crt"))


def test_a_model_outlives_its_signers_certificate(tmp_path: Path) -> None:
    root = authority("root")
    bundle = sign(MANIFEST, signer(tmp_path, root, days=(-9, -1)), run_id=RUN)
    (tmp_path / "root.crt").write_bytes(pem(root.certificate))
    assert check(MANIFEST, bundle, SigningSettings.read(verify_key=tmp_path / "root.crt"))


@pytest.mark.parametrize("how", ["another root", "not made to sign", "not an authority between", "before the root was valid"])
def test_a_certificate_that_does_not_lead_there_is_refused(tmp_path: Path, how: str) -> None:
    root = authority("root")
    (tmp_path / "root.crt").write_bytes(pem((authority("root") if how == "another root" else root).certificate))
    key = ec.generate_private_key(ec.SECP256R1())
    plain = Authority(key, issued("plain", key, root, authority=False))
    between = plain if how == "not an authority between" else root
    days = (-20, 900) if how == "before the root was valid" else (-10, 900)
    settings = signer(tmp_path, between, signs=how != "not made to sign", days=days)
    bundle = sign(MANIFEST, settings, run_id=RUN)
    with pytest.raises(IntegrityError, match="not by a key"):
        check(MANIFEST, bundle, SigningSettings.read(verify_key=tmp_path / "root.crt"))


def test_a_certificate_of_another_key_cannot_sign(tmp_path: Path, ours: Keys) -> None:
    signer(tmp_path, authority("root"))
    settings = SigningSettings.read(signing_key=ours.private, signing_certificate=tmp_path / "signer.crt")
    with pytest.raises(SettingsError, match="does not match"):
        sign(MANIFEST, settings, run_id=RUN)

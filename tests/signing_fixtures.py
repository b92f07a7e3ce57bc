"""Keys and certificates made for the tests of signatures, and what they sign."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from passerelle.model.verify import check_signature
from passerelle.names import SIGNATURE, SIGNED
from passerelle.registry.client import Registry
from passerelle.registry.sign import stored_signature
from passerelle.settings import SigningSettings
from tests.platform_fixtures import run_keys

MANIFEST: dict[str, object] = {"schema": 1, "files": {"MLmodel": "sha256:a"}, "golden": "sha256:b"}
RUN = "a" * 32


@dataclass(frozen=True)
class Keys:
    private: Path
    public: Path


def make_keys(folder: Path, name: str, curve: ec.EllipticCurve | None = None) -> Keys:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(encoding, form))
    return Keys(private, public)


# One pair each for all tests of a process: they sign the same runs, and a run that another key signed is refused.
@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("theirs"), "theirs")


def check(manifest: dict[str, object], bundle: str | None, settings: SigningSettings, run_id: str = RUN) -> str | None:
    return check_signature(manifest, bundle, settings, of="it", run_id=run_id)


@contextmanager
def unsigned(registry: Registry, run_id: str) -> Iterator[None]:
    """Let the run have no signature, as before there was a key, until the end."""
    signature = stored_signature(registry, run_id)
    signed = [info.ref for info in registry.versions_of_run(run_id) if SIGNED in info.tags]
    for key in run_keys(registry, run_id, SIGNATURE):
        registry.objects.delete(key)
    for ref in signed:
        registry.delete_version_tag(ref, SIGNED)
    try:
        yield
    finally:
        for key in run_keys(registry, run_id, SIGNATURE):
            registry.objects.delete(key)
        for info in registry.versions_of_run(run_id):
            if SIGNED in info.tags:
                registry.delete_version_tag(info.ref, SIGNED)
        if signature is not None:
            registry.write_text(run_id, SIGNATURE, signature)


def payload_changed(bundle: str) -> str:
    content = json.loads(bundle)
    payload = base64.b64decode(content["dsseEnvelope"]["payload"]).replace(RUN.encode(), b"b" * 32)
    content["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    return json.dumps(content)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the operator's, or one below it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def issued(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: Authority | None,
    *,
    authority: bool = True,
    signs: bool = True,
    days: tuple[int, int] = (-10, 900),
) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=signs, key_cert_sign=authority, crl_sign=authority, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return builder.sign(by.key if by else key, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def authority(name: str, by: Authority | None = None) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(key, issued(name, key, by))


def signer(folder: Path, between: Authority, **how: Any) -> SigningSettings:
    """Settings that sign with a certificate by this authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, certificate = folder / "signer.pem", folder / "signer.crt"
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    certificate.write_bytes(pem(issued("signer", key, between, authority=False, **how), between.certificate))
    return SigningSettings.read(signing_key=private, signing_certificate=certificate)

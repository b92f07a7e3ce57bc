"""Whose certificate the stack's proxy shows: one's own, or of an authority that is asked only where that is wanted."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.test_killed_replicas import proxy_image
from tests.integration.test_stack_config import whole_config
from tests.signing_fixtures import pem

pytestmark = [pytest.mark.integration, pytest.mark.engine]
ROOT = Path(__file__).resolve().parents[2]
NAME = "classify.example.org"
DAY = timedelta(days=1)


def run(engine: str, folder: Path, *options: str, tls: str, site: str, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    files = {"certificate.pem": "/run/secrets/proxy_certificate", "key.pem": "/run/secrets/proxy_key"}
    mounts = [part for name, target in files.items() for part in ("--volume", f"{folder / name}:{target}:ro")]
    mounts += ["--volume", f"{ROOT}/deploy/proxy/Caddyfile:/etc/caddy/Caddyfile:ro"]
    hardened = ["--rm", "--read-only", "--tmpfs", "/data:uid=1002,gid=1002"]
    command = [engine, "run", *hardened, *mounts, *options, "--env", f"PROXY_TLS={tls}", "--env", f"SITE_ADDRESS={site}"]
    return subprocess.run([*command, proxy_image(engine), *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a certificate for the name, and its key, as the container's user can read them."""
    key = ec.generate_private_key(ec.SECP256R1())
    now, subject = datetime.now(UTC), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
    made = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, content in (("certificate.pem", pem(made)), ("key.pem", private)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    return tmp_path


@contextmanager
def running(engine: str, folder: Path, tls: str) -> Iterator[int]:
    started = run(engine, folder, "--detach", "--publish", "127.0.0.1:0:8443", tls=tls, site=NAME)
    container = started.stdout.strip()
    assert started.returncode == 0, started.stderr
    try:
        published = subprocess.run([engine, "port", container, "8443"], capture_output=True, text=True, check=True, timeout=60).stdout
        yield int(published.split()[0].rpartition(":")[2])
    finally:
        subprocess.run([engine, "rm", "--force", container], capture_output=True, check=True, timeout=60)


def shown(port: int) -> x509.Certificate:
    """Return the certificate that the proxy shows for the name, once it shows one."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as bare, unchecked.wrap_socket(bare, server_hostname=NAME) as tls:
                return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the proxy shows no certificate")


def test_it_shows_the_certificate_of_ones_own(engine: str, own: Path) -> None:
    with running(engine, own, "own") as port:
        assert shown(port) == x509.load_pem_x509_certificate((own / "certificate.pem").read_bytes())


def test_without_a_setting_an_authority_of_its_own_signs_and_nobody_is_asked(engine: str, own: Path) -> None:
    with running(engine, own, "internal") as port:
        assert "Caddy Local Authority" in shown(port).issuer.rfc4514_string()


@pytest.mark.parametrize(
    ("tls", "site", "words"),
    [
        ("acme", NAME, "Valid configuration"),
        ("internal", "http://:8080", "Valid configuration"),
        ("own", "http://:8080", "is HTTP, but attempts to configure TLS"),
        ("letsencrypt", NAME, "File to import not found: authority-letsencrypt"),
    ],
)
def test_what_it_is_told_is_usable_or_refused(engine: str, own: Path, tls: str, site: str, words: str) -> None:
    done = run(engine, own, tls=tls, site=site, arguments=("validate", "--config", "/etc/caddy/Caddyfile"))
    assert words in done.stdout + done.stderr
    assert (done.returncode == 0) is words.startswith("Valid")


def test_the_stack_asks_no_acme_server_unless_it_is_told_to() -> None:
    proxy = whole_config(SITE_ADDRESS=NAME)["services"]["proxy"]
    assert proxy["environment"]["PROXY_TLS"] == "internal"
    files = {"PROXY_TLS": "own", "PROXY_CERTIFICATE_FILE": "./secrets/proxy.pem", "PROXY_KEY_FILE": "./secrets/proxy.key"}
    whole = whole_config(SITE_ADDRESS=NAME, **files)
    assert whole["services"]["proxy"]["environment"]["PROXY_TLS"] == "own"
    assert whole["secrets"]["proxy_key"]["file"] == str(ROOT / "deploy" / "secrets" / "proxy.key")
    using = {name for name, each in whole["services"].items() if "proxy_key" in {secret["source"] for secret in each.get("secrets", ())}}
    assert using == {"proxy"}

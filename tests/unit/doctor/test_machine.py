"""What is looked at on this machine alone: packages, disks, ports, modes, certificates, the store and kubectl."""

from __future__ import annotations

import json
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from passerelle.count_of import count_of
from passerelle.doctor import (
    bentoml_store,
    cluster_rights,
    container_engines,
    disk_room,
    file_modes,
    python_packages,
    server_certificates,
    signature_keys,
    taken_ports,
)
from passerelle.doctor.diagnosis import Health, Probe
from passerelle.doctor.validity import validity
from passerelle.rollout.stack import Stack
from passerelle.settings import SigningSettings
from tests.unit.doctor.surroundings import surroundings

GIB = 1 << 30
NOW = datetime(2030, 6, 1, tzinfo=UTC)


def test_in_an_empty_folder_nothing_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    probes: tuple[Probe, ...] = (
        taken_ports.probe, file_modes.probe, server_certificates.probe, signature_keys.probe, bentoml_store.probe, container_engines.engine,
        container_engines.compose_stack, cluster_rights.probe,
    )  # fmt: skip
    found = [each for probe in probes for each in probe(surroundings(tmp_path))]
    assert {each.health for each in found} == {Health.NOT_USED}
    assert sorted(tmp_path.iterdir()) == [], "a look changes nothing"


def test_parts_of_the_stack_that_somebody_stopped_or_removed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def container(status: str, code: int, restart: str, health: str = "healthy") -> dict[str, object]:
        state = {"Status": status, "Running": status == "running", "ExitCode": code, "Health": {"Status": health}}
        return {"State": state, "HostConfig": {"RestartPolicy": {"Name": restart}}}

    containers = {
        "minio": container("running", 0, "unless-stopped"),
        "setup": container("exited", 0, "no"),
        "service-1": container("exited", 0, "unless-stopped"),
        "prober": container("running", 0, "unless-stopped", "unhealthy"),
    }
    services = {name: {"scale": 1} for name in (*containers, "mlflow")} | {"grafana": {"scale": 0}}
    answer = subprocess.CompletedProcess("", 0, json.dumps({"services": services}), "")
    (tmp_path / "deploy" / "secrets").mkdir(parents=True)
    (tmp_path / "deploy" / "compose.yaml").touch()
    monkeypatch.setattr(Stack, "check", lambda _: None)
    monkeypatch.setattr(Stack, "containers", lambda _: containers)
    monkeypatch.setattr(Stack, "compose", lambda *_, **__: answer)
    found = list(container_engines.compose_stack(surroundings(tmp_path)))
    assert [each.message for each in found] == [
        "service-1 is exited (exit code 0)", "prober is unhealthy", "mlflow has no container"
    ]  # fmt: skip
    assert [(each.hint or "").split("\n")[-1].split(" ")[0] for each in found] == ["passerelle", "docker", "passerelle"]


def test_packages_are_those_that_passerelle_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.health for each in python_packages.probe(surroundings(tmp_path))] == [Health.FINE]
    monkeypatch.setattr(python_packages, "requires", lambda _: ["mlflow==0.1; extra == 'workbench'", "no-such-package", "x; extra == 'y'"])
    old, missing = python_packages.probe(surroundings(tmp_path))
    assert (old.health, missing.message) == (Health.FAULT, "no-such-package is not installed")
    assert "passerelle needs mlflow==0.1" in old.message


@pytest.mark.parametrize(("free", "health"), [(GIB // 2, Health.FAULT), (2 * GIB, Health.WARNING), (50 * GIB, Health.FINE)])
def test_little_room_is_said(free: int, health: Health) -> None:
    assert disk_room.room("the state", Path("/data"), free).health is health


def test_a_port_that_was_ours_and_is_anothers_is_said(tmp_path: Path) -> None:
    here = surroundings(tmp_path)
    folder = here.state.state_dir / "platform"
    folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (folder / "ports.json").write_text(json.dumps({"MLflow": port}))
        (found,) = taken_ports.probe(here)
    assert found.health is Health.WARNING
    assert f"port {port} of MLflow is taken by" in found.message
    assert [each.health for each in taken_ports.probe(here)] == [Health.FINE]


def test_secrets_that_others_may_read_are_named(tmp_path: Path) -> None:
    here = surroundings(tmp_path)
    tmp_path.chmod(0o755)
    for folder in (folder for folder in tmp_path.parents if folder.name.startswith(("pytest-", "popen-"))):
        folder.chmod(0o755)
    keys = here.state.state_dir / "platform" / "s3-keys.json"
    keys.parent.mkdir(parents=True)
    keys.write_text("{}")
    keys.chmod(0o644)
    (found,) = file_modes.probe(here)
    assert (found.health, found.hint) == (Health.FAULT, f"chmod 600 {keys}")
    keys.chmod(0o600)
    here.keys_file.write_text('{"keys": [{}]}')
    here.keys_file.chmod(0o600)
    (found,) = file_modes.probe(here)
    assert "is not a list of keys: entry 1" in found.message
    here.keys_file.write_text('{"keys": []}')
    (found,) = file_modes.probe(here)
    assert (found.health, found.message) == (Health.FINE, "2 files can be read by their owner alone")
    (tmp_path / "deploy" / "secrets").mkdir(parents=True)
    (found,) = file_modes.probe(here)
    assert (found.health, found.hint) == (Health.FAULT, "passerelle deploy --target compose --init")


def certificate(path: Path, days: int) -> Path:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    signed = built.not_valid_before(NOW - timedelta(days=400)).not_valid_after(NOW + timedelta(days=days)).sign(key, hashes.SHA256())
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(("days", "health"), [(-1, Health.FAULT), (5, Health.WARNING), (90, Health.FINE)])
def test_a_certificate_is_renewed_in_time(tmp_path: Path, days: int, health: Health) -> None:
    (found,) = validity("certificates", certificate(tmp_path / "own.pem", days), now=NOW)
    assert found.health is health


@pytest.mark.parametrize("content", [b"<html>sign in first</html>", b"", b"\x30\x82\x01\x0a", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_authorities_that_are_not_pem_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "ca.pem").write_bytes(content)
    here = surroundings(tmp_path, environment={"REQUESTS_CA_BUNDLE": str(path), "AWS_CA_BUNDLE": str(tmp_path / "none.pem")})
    bad, missing = server_certificates.probe(here)
    assert (bad.health, missing.health) == (Health.FAULT, Health.FAULT)
    assert f"{path} holds no certificate in PEM" in bad.message
    assert missing.message == f"{tmp_path / 'none.pem'} cannot be read: No such file or directory"


def test_a_damaged_entry_of_the_store_is_named(tmp_path: Path) -> None:
    for kind, tag, content in (("models", "m/1", "labels: {}"), ("models", "m/2", "\x00"), ("bentos", "m/1", "[")):
        folder = tmp_path / "bentoml" / kind / tag
        folder.mkdir(parents=True)
        (folder / {"models": "model.yaml", "bentos": "bento.yaml"}[kind]).write_text(content)
    model, bento = bentoml_store.probe(surroundings(tmp_path))
    assert (model.message, bento.message) == (
        "the model m:2 has no model.yaml that can be read", "the bento m:1 has no bento.yaml that can be read",
    )  # fmt: skip
    assert bento.hint == f"rm -r {tmp_path}/bentoml/bentos/m/1; passerelle build"


def test_a_key_that_signs_what_is_not_verified_here_is_said(tmp_path: Path) -> None:
    ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    private = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    (key := tmp_path / "key.pem").write_bytes(ours.private_bytes(*private))
    (public := tmp_path / "public.pem").write_bytes(
        theirs.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    alone, other = SigningSettings(signing_key=key), SigningSettings(signing_key=key, verify_key=public)
    assert [each.health for each in signature_keys.probe(surroundings(tmp_path, signing=alone))] == [Health.FINE]
    (found,) = signature_keys.probe(surroundings(tmp_path, signing=other))
    assert found.health is Health.FAULT
    assert "what is registered here is refused here" in found.message
    (found,) = signature_keys.probe(surroundings(tmp_path, signing=SigningSettings(verify="required")))
    assert found.health is Health.FAULT


@pytest.mark.parametrize(("count", "words"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1_000, "1,000 entries")])
def test_what_there_is_one_of_is_not_said_in_the_plural(count: int, words: str) -> None:
    assert count_of(count, "entry", "entries") == words
    assert count_of(1, "model") == "1 model"

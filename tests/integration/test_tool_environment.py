"""What docker and kubectl really find in their environment, by programs of these names that write it down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from passerelle.bentos.engine import ask
from passerelle.rollout.cluster import Cluster
from passerelle.rollout.stack import Stack

pytestmark = pytest.mark.integration
PROGRAM = '#!/bin/sh\nenv >"{found}"\n'
SECRETS = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "PASSERELLE_API_KEY", "SOMEBODYS_TOKEN")


@pytest.mark.parametrize(
    ("call", "port"),
    [
        (lambda _: ask("docker", "info"), None),
        (lambda folder: Stack(folder).compose("ps", variables={"SERVICE_IMAGE": "good"}), "3001"),
        (lambda folder: Stack(folder).pipe("exec", "-T", "minio", "true"), "3001"),
        (lambda folder: Cluster(folder, "passerelle", ()).kubectl("get", "pods"), None),
    ],
    ids=["docker", "compose", "compose with files", "kubectl"],
)
def test_no_secret_is_inherited(call: Callable[[Path], object], port: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tmp_path / "found"
    for name in ("docker", "kubectl"):
        (tmp_path / name).write_text(PROGRAM.format(found=found))
        (tmp_path / name).chmod(0o755)
    (tmp_path / "compose.yaml").write_text('ports: ["${SERVICE_PORT:-3000}:8080"]\ncommand: echo $$SOMEBODYS_TOKEN\n')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/docker.sock")
    monkeypatch.setenv("SERVICE_PORT", "3001")
    for name in SECRETS:
        monkeypatch.setenv(name, "secret")
    call(tmp_path)
    variables = dict(line.split("=", 1) for line in found.read_text().splitlines() if "=" in line)
    assert "secret" not in variables.values()
    assert variables["DOCKER_HOST"] == "unix:///run/docker.sock"
    assert variables.get("SERVICE_PORT") == port

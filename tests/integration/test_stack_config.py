"""What the stack says of itself, read back from compose's own view of compose.yaml."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from passerelle.settings import LoadingSettings

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


def config(**variables: str) -> dict[str, Any]:
    """Return compose.yaml as compose reads it; needs no engine."""
    command = ["docker", "compose", "-f", str(ROOT / "deploy" / "compose.yaml"), "--profile", "*", "config", "--format", "json"]
    if shutil.which("docker") is None or subprocess.run([*command[:2], "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose is not installed")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    environment |= {name: os.environ[name] for name in ("DOCKER_CONFIG",) if name in os.environ}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)["services"]
    return found


def published(services: dict[str, Any]) -> dict[str, set[str]]:
    return {name: {port["host_ip"] for port in service["ports"]} for name, service in services.items() if service.get("ports")}


def test_to_publish_the_service_publishes_nothing_else() -> None:
    assert set().union(*published(config()).values()) == {"127.0.0.1"}
    found = published(config(SERVICE_BIND_ADDRESS="0.0.0.0", SITE_ADDRESS="classify.example.org", SERVICE_TLS_PORT="443"))  # noqa: S104
    assert found.pop("proxy") == {"0.0.0.0"}  # noqa: S104
    assert set(found) == {"minio", "mlflow", "prometheus", "grafana"}
    assert set().union(*found.values()) == {"127.0.0.1"}
    asked = published(config(BIND_ADDRESS="192.0.2.1"))
    assert asked.pop("proxy") == {"127.0.0.1"}
    assert set().union(*asked.values()) == {"192.0.2.1"}


def test_the_operators_list_of_types_reaches_the_service() -> None:
    name = "PASSERELLE_TRUSTED_TYPES"
    assert config()["service-1"]["environment"][name] == LoadingSettings.model_fields["trusted_types"].default
    for service in ("service-1", "service-2"):
        assert config(**{name: "sklearn,team"})[service]["environment"][name] == "sklearn,team"

"""What the stack says of itself, read back from compose's own view of compose.yaml."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from passerelle.follow_settings import FollowSettings
from passerelle.log_settings import LogSettings
from passerelle.settings import LoadingSettings

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


#: As .env has it from the first start on.
SET_UP = {"STACK_MINIO_DIGEST": "0123abcd"}


def docker_environment(**variables: str) -> dict[str, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return environment | {name: os.environ[name] for name in ("DOCKER_CONFIG",) if name in os.environ}


def whole_config(*also: str, **variables: str) -> dict[str, Any]:
    """Return compose.yaml, with other files on top of it, as compose reads it; needs no engine."""
    files = [part for name in ("compose.yaml", *also) for part in ("-f", str(ROOT / "deploy" / name))]
    command = ["docker", "compose", *files, "--profile", "*", "config", "--format", "json"]
    if shutil.which("docker") is None or subprocess.run([*command[:2], "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose is not installed")
    said = subprocess.run(command, env=docker_environment(**SET_UP, **variables), capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def config(*also: str, **variables: str) -> dict[str, Any]:
    services: dict[str, Any] = whole_config(*also, **variables)["services"]
    return services


def test_a_stack_that_was_not_set_up_says_what_to_run() -> None:
    assert config(), "docker compose is there"
    command = ["docker", "compose", "-f", str(ROOT / "deploy" / "compose.yaml"), "--env-file", os.devnull, "up", "--wait"]
    said = subprocess.run(command, env=docker_environment(), capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode != 0
    assert "Run `passerelle deploy --target compose --init`" in said.stderr


def published(services: dict[str, Any]) -> dict[str, set[str]]:
    return {name: {port["host_ip"] for port in service["ports"]} for name, service in services.items() if service.get("ports")}


def test_to_publish_the_service_publishes_nothing_else() -> None:
    assert set().union(*published(config()).values()) == {"127.0.0.1"}
    found = published(config(SERVICE_BIND_ADDRESS="0.0.0.0", SITE_ADDRESS="classify.example.org", SERVICE_TLS_PORT="443"))  # noqa: S104
    assert found.pop("proxy") == {"0.0.0.0"}  # noqa: S104
    assert set(found) == {"minio", "mlflow", "prometheus", "alertmanager", "grafana", "airflow"}
    assert set().union(*found.values()) == {"127.0.0.1"}
    asked = published(config(BIND_ADDRESS="192.0.2.1"))
    assert asked.pop("proxy") == {"127.0.0.1"}
    assert set().union(*asked.values()) == {"192.0.2.1"}


def test_the_operators_list_of_types_reaches_the_service() -> None:
    name = "PASSERELLE_TRUSTED_TYPES"
    assert config()["service-1"]["environment"][name] == LoadingSettings.model_fields["trusted_types"].default
    for service in ("service-1", "service-2"):
        assert config(**{name: "sklearn,team"})[service]["environment"][name] == "sklearn,team"


FOLLOW = "compose.follow.yaml"
REPLICAS = ("service-1", "service-2")


def test_pinned_replicas_reach_what_asks_them_and_nothing_else() -> None:
    whole = whole_config(PASSERELLE_FOLLOW="production", PASSERELLE_FOLLOW_WEBHOOK="on")
    assert whole["networks"]["serving"]["internal"] is True
    assert "registry" not in whole["networks"]
    for name in REPLICAS:
        service = whole["services"][name]
        assert set(service["networks"]) == {"serving"}
        assert [each["source"] for each in service["secrets"]] == ["log_digest_key"]
        assert not [each for each in service["environment"] if "FOLLOW" in each or "TRACKING" in each]
    mlflow = whole["services"]["mlflow"]
    assert set(mlflow["networks"]) == {"platform"}
    assert "MLFLOW_FOLLOWER_FILE" not in mlflow["environment"]
    assert "PASSERELLE_FOLLOW_WEBHOOK" not in mlflow["environment"]


def test_replicas_that_follow_reach_mlflow_besides_with_an_account_that_reads() -> None:
    pinned, whole = whole_config()["services"], whole_config(FOLLOW, PASSERELLE_FOLLOW="production")
    assert whole["networks"]["registry"]["internal"] is True
    services = whole["services"]
    assert {name for name, each in services.items() if "registry" in each["networks"]} == {"mlflow", *REPLICAS}
    folders = set()
    for name in REPLICAS:
        service = services[name]
        assert set(service["networks"]) == {"serving", "registry"}
        assert {each["source"] for each in service["secrets"]} == {"mlflow_follower", "mlflow_webhook_secret", "log_digest_key"}
        (volume,) = [each for each in service["volumes"] if each["type"] == "volume" and each["source"] != "predictions"]
        folders.add(volume["source"])
        variables = service["environment"]
        assert variables["PASSERELLE_FOLLOW_DIR"] == volume["target"] == "/var/lib/passerelle/follow"
        assert (variables["PASSERELLE_FOLLOW"], variables["PASSERELLE_FOLLOW_USERNAME"]) == ("production", "follower")
        assert int(variables["PASSERELLE_FOLLOW_MAX_BYTES"]) == 2**29
        assert set(FollowSettings.read(variables).model_dump()) == set(FollowSettings.model_fields)
        for each in ("read_only", "cap_drop", "security_opt", "user", "tmpfs", "mem_limit", "pids_limit", "healthcheck"):
            assert service[each] == pinned[name][each], each
    assert len(folders) == 2
    assert set(services["mlflow"]["networks"]) == {"platform", "registry"}
    changed = {name for name in services if services[name] != pinned[name]}
    assert changed == {"mlflow", *REPLICAS}


@pytest.mark.parametrize("value", ["off", "on"])
def test_mlflow_may_call_the_replicas_only_where_the_webhook_is_on(value: str) -> None:
    name = "PASSERELLE_FOLLOW_WEBHOOK"
    services = config(FOLLOW, PASSERELLE_FOLLOW="production", **({name: value} if value == "on" else {}))
    assert services["mlflow"]["environment"][name] == value


def test_both_replicas_record_into_one_volume_that_is_bounded() -> None:
    services = config(PASSERELLE_LOG_TEXT="redacted", PASSERELLE_LOG_COLUMN="age,city")
    for name in REPLICAS:
        variables = services[name]["environment"]
        (volume,) = [each for each in services[name]["volumes"] if each["source"] == "predictions"]
        assert variables["PASSERELLE_PREDICTION_LOG"] == volume["target"] == "/var/lib/passerelle/predictions"
        settings = LogSettings.read(variables)
        assert str(settings.log_digest_key_file) == "/run/secrets/log_digest_key"
        assert (settings.log_text, settings.columns, settings.log_max_bytes) == ("redacted", ("age", "city"), 2**30)
        assert variables["PASSERELLE_ENVIRONMENT"] == "production"
    assert config(SERVICE_PREDICTION_LOG="")["service-1"]["environment"]["PASSERELLE_PREDICTION_LOG"] == ""


def test_airflow_is_a_profile_whose_processes_get_the_secrets_that_they_need() -> None:
    services = {name: each for name, each in config().items() if name.startswith("airflow")}
    assert [each["profiles"] for each in services.values()] == 4 * [["airflow"]]
    assert len({each["image"] for each in services.values()}) == 1
    own = {"postgres_airflow", "airflow_key"}
    assert {name: {each["source"] for each in service["secrets"]} - own for name, service in services.items()} == {
        "airflow-setup": {"postgres_password"},
        "airflow": {"airflow_admin_password"},
        "airflow-scheduler": {"mlflow_admin_password", "s3_airflow"},
        "airflow-dags": set(),
    }
    for name, service in services.items():
        assert (service["read_only"], service["cap_drop"], service["user"], set(service["networks"])) == (
            True,
            ["ALL"],
            "1035:1035",
            {"platform"},
        )
        assert service["environment"]["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
        for volume in service.get("volumes", ()):
            assert volume["type"] == "volume" or volume["read_only"], name
    hidden = [entry for entry in services["airflow-scheduler"]["tmpfs"] if entry.startswith("/project/deploy/secrets:ro,")]
    assert len(hidden) == 1, "the project is mounted without the secrets of the stack"


def test_up_can_wait_for_each_container_that_goes_on() -> None:
    services = config()
    lasting = {name: each for name, each in services.items() if each.get("restart") != "no"}
    assert "collector" in lasting
    assert [name for name, each in lasting.items() if each.get("healthcheck", {}).get("disable")] == []


def test_the_volume_of_the_log_belongs_to_its_user_whoever_mounts_it_first() -> None:
    user = config()["collector"]["user"]
    assert user == config()["service-1"]["user"]
    for dockerfile in ("deploy/mlflow/Dockerfile", "src/passerelle/bentos/image/Dockerfile"):
        assert f"--chown={user} /volumes /var/lib/passerelle\n" in (ROOT / dockerfile).read_text(encoding="utf-8"), dockerfile

"""The CronJob of backups wants of a cluster what the same two containers have in the compose stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "kubernetes" / "backup"


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]
    return found


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    return found


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


def test_it_makes_one_backup_with_the_settings_of_the_stack(job: dict[str, Any], compose: dict[str, Any]) -> None:
    pod = job["template"]["spec"]
    (backup,), (database,) = pod["containers"], pod["initContainers"]
    assert backup["command"] == [*compose["backup"]["entrypoint"], "--once"]
    given = variables(backup)
    # The image of the collector sets PYTHONPATH; the rest has a default, and the interval is the CronJob's.
    left_out = {"PYTHONPATH", "BACKUP_EVERY_HOURS", "PASSERELLE_S3_REGION"}
    assert set(given) == set(compose["backup"]["environment"]) - left_out | {"BACKUP_FOLDER"}
    assert database["image"] in compose["backup-database"]["image"]
    assert database["restartPolicy"] == "Always", "a sidecar: it ends when the backup is made"
    assert database["command"][0] == compose["backup-database"]["entrypoint"][0]
    script = (ROOT / "deploy" / "backup" / "dump.sh").read_text()
    places = {each["mountPath"] for each in database["volumeMounts"]}
    assert f"{given['BACKUP_FOLDER']}/exchange" in places
    assert f"folder={given['BACKUP_FOLDER']}/exchange\n" in script
    assert "cat /run/secrets/postgres_password" in script


def test_nothing_is_unencrypted_after_it_and_no_container_has_a_privilege(job: dict[str, Any]) -> None:
    pod = job["template"]["spec"]
    (recipients,) = [each for each in pod["containers"][0]["env"] if each["name"] == "BACKUP_RECIPIENTS"]
    assert "optional" not in recipients["valueFrom"]["configMapKeyRef"], "without a key, nothing is written"
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert "emptyDir" in volumes["exchange"]
    for container in (*pod["containers"], *pod["initContainers"]):
        assert {each["name"] for each in container["volumeMounts"]} <= set(volumes)
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False


def test_its_policy_reaches_it_and_lets_it_ask_s3_postgresql_and_the_dns(job: dict[str, Any]) -> None:
    policy = yaml.safe_load((FOLDER / "network-policy.yaml").read_text())["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= job["template"]["metadata"]["labels"].items()
    assert policy["ingress"] == []
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {9000, 5432, 53}
    claim = yaml.safe_load((FOLDER / "volume-claim.yaml").read_text())["metadata"]["name"]
    volumes = [each["persistentVolumeClaim"]["claimName"] for each in job["template"]["spec"]["volumes"] if "persistentVolumeClaim" in each]
    assert volumes == [claim]
    listed = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml", "prometheus-rule.yaml"}

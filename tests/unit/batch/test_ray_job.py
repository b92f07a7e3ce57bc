"""The RayJob of deploy/kubernetes/ray: what it names is there, and its pods may do no more than the service's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.hint_commands import problem_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "ray" / "rayjob.yaml").read_text())
    return found


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_it_is_of_the_ray_that_is_locked(job: dict[str, Any]) -> None:
    locked = re.search(r"^ray==(\S+)", (ROOT / "requirements" / "ray.txt").read_text(), re.MULTILINE)
    assert locked is not None
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == locked[1]
    assert f'"ray[client]=={locked[1]}"' in (ROOT / "pyproject.toml").read_text()


def test_its_command_can_be_typed(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert "--address auto" in job["spec"]["entrypoint"]
    assert problem_of(job["spec"]["entrypoint"]) is None


def test_nothing_is_scored_on_the_head_and_the_cluster_asks_for_a_token(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert cluster["authOptions"] == {"mode": "token"}
    parameters = [group["rayStartParams"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    assert all(isinstance(value, str) for each in parameters for value in each.values()), "the operator takes texts alone"


def test_its_pods_are_confined(job: dict[str, Any]) -> None:
    assert len(pods(job)) == 2
    for pod in pods(job):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        confined = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == confined
        assert ":" in container["image"]
        assert not container["image"].endswith(":latest")
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
        assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}

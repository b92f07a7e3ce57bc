"""What the cluster shows of the service: its objects, its pods, and when they are ready."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import yaml

from tests.engine_fixtures import ROOT

if TYPE_CHECKING:
    from tests.cluster.conftest import ClusterForTests

OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"
NAMESPACE = "passerelle"


def rendered(cluster: ClusterForTests, overlay: str) -> list[dict[str, Any]]:
    text = cluster.kubectl("kustomize", str(OVERLAYS / overlay))
    return [each for each in yaml.safe_load_all(text) if each]


def pods(cluster: ClusterForTests) -> list[dict[str, Any]]:
    held = cluster.get("pods", "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/name=classify")["items"]
    return [pod for pod in held if "deletionTimestamp" not in pod["metadata"]]


def ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def two_ready(cluster: ClusterForTests) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        held = pods(cluster)
        if len(held) == 2 and all(map(ready, held)):
            return held
        time.sleep(0.5)
    raise AssertionError([pod["status"] for pod in pods(cluster)])


def image_of(cluster: ClusterForTests) -> str:
    spec = cluster.get("deployment", "classify", "--namespace", NAMESPACE)["spec"]["template"]["spec"]
    return str(spec["containers"][0]["image"])

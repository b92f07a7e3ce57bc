"""A pod that tries a new image: what it is made of, why it does not start, and that it never stays. tests/cluster has a real one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from passerelle.errors import OutsideError
from passerelle.rollout import trial_pod as module
from passerelle.rollout.cluster import Cluster, find_cluster
from passerelle.rollout.trial_pod import TRIAL, trial_pod
from tests.engine_fixtures import ROOT

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


@dataclass(frozen=True)
class ClusterForTests(Cluster):
    """Shows the trial's pod in one state after the other; the last one stays."""

    states: list[dict[str, Any]] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refusal: str = ""

    def kubectl(
        self,
        *arguments: str,
        given: str | None = None,
        timeout_s: float = 60,  # noqa: ARG002 - the signature is kubectl's in src
        namespaced: bool = True,  # noqa: ARG002
    ) -> subprocess.CompletedProcess[str]:
        self.asked.append(" ".join(arguments[:2]))
        out = ""
        if arguments[0] == "apply":
            if self.refusal:
                return subprocess.CompletedProcess(arguments, 1, "", self.refusal)
            self.applied.extend(yaml.safe_load_all(given or ""))
        elif arguments[0] == "get":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            out = json.dumps({"metadata": {"name": TRIAL}, "status": state}) if state else ""
        elif arguments[0] == "logs":
            out = '{"route": "/readyz"}\nthe model is refused: golden predictions differ\n'
        return subprocess.CompletedProcess(arguments, 0, out, "")


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.0)
    monkeypatch.setattr(module, "STUCK_S", 0.0)


def cluster_of(*states: dict[str, Any], refusal: str = "", overlay: str = "production") -> ClusterForTests:
    found = find_cluster(ROOT, overlay)
    return ClusterForTests(found.overlay, found.namespace, found.objects, states=list(states), refusal=refusal)


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]}


def test_no_service_policy_or_budget_selects_it_and_it_is_as_hard_as_the_others() -> None:
    cluster = cluster_of(waiting("ContainerCreating", ""), READY)
    with trial_pod(cluster, cluster.objects) as name:
        assert name == TRIAL
    (pod,) = cluster.applied
    assert (pod["kind"], pod["metadata"]["namespace"]) == ("Pod", cluster.namespace)
    labels = pod["metadata"]["labels"]
    for each in cluster.objects:
        spec = each.get("spec", {})
        selector = spec.get("selector", spec.get("podSelector")) or {}
        if each["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"):
            wanted = selector.get("matchLabels", selector)
            assert wanted, f"{each['kind']} selects every pod of the namespace"
            assert not wanted.items() <= labels.items(), each["kind"]
    deployment = next(each for each in cluster.objects if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    (container,), (original,) = pod["spec"]["containers"], deployment["containers"]
    assert container["securityContext"] == original["securityContext"]
    assert pod["spec"]["securityContext"] == deployment["securityContext"]
    assert (container["image"], container["resources"]) == (original["image"], original["resources"])
    assert pod["spec"]["activeDeadlineSeconds"] > 0, "the cluster ends it if nobody does"
    assert cluster.asked[0] == cluster.asked[-1] == "delete pod"


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ([waiting("ErrImagePull", "no such image")], "ErrImagePull: no such image"),
        ([waiting("ContainerCreating", ""), waiting("ImagePullBackOff", "Back-off")], "ImagePullBackOff: Back-off"),
        (
            [{"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "Error", "exitCode": 1}}}]}],
            "Error, exit code 1",
        ),
        ([{}], "somebody removed it"),
    ],
)
def test_why_it_does_not_start_is_said_with_its_log_and_it_is_removed(states: list[dict[str, Any]], why: str) -> None:
    cluster = cluster_of(*states)
    with pytest.raises(OutsideError, match="nothing was changed") as told, trial_pod(cluster, cluster.objects):
        pass
    assert why in told.value.message
    assert "golden predictions differ" in told.value.message
    assert "/readyz" not in told.value.message
    assert cluster.asked[-1] == "delete pod"


def test_a_node_without_room_is_waited_for_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READY_S", 0.05)
    message = "0/1 nodes are available: 1 Insufficient memory."
    state = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}
    cluster = cluster_of(state)
    with pytest.raises(OutsideError, match="1 Insufficient memory"), trial_pod(cluster, cluster.objects):
        pass


def test_a_quota_that_is_too_small_is_said_in_one_sentence() -> None:
    asked = "requested: limits.memory=384Mi, used: limits.memory=0, limited: limits.memory=256Mi"
    cluster = cluster_of(READY, refusal=f'pods "classify-trial" is forbidden: exceeded quota: small, {asked}')
    with pytest.raises(OutsideError) as told, trial_pod(cluster, cluster.objects):
        pass
    words = "the quota small of the namespace passerelle is too small: one pod more needs 384Mi of limits.memory (0 of 256Mi in use)"
    assert told.value.message.endswith(words)
    assert "get quota" in str(told.value.hint)


def test_a_refused_model_is_not_waited_for() -> None:
    running = {"phase": "Running", "containerStatuses": [{"ready": False, "state": {"running": {}}}]}
    cluster = cluster_of(running)
    with pytest.raises(OutsideError, match="the model is refused: golden predictions differ"), trial_pod(cluster, cluster.objects):
        pass
    assert cluster.asked.count("get pod") == 1


def test_what_fails_in_the_trial_removes_it_too() -> None:
    cluster = cluster_of(READY)
    with pytest.raises(ZeroDivisionError), trial_pod(cluster, cluster.objects):
        raise ZeroDivisionError
    assert cluster.asked[-1] == "delete pod"

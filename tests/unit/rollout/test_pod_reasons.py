"""Why pods do not start: the newest pod's reason, the cluster's refusals in one sentence, and no wait for what will not come."""

from __future__ import annotations

import itertools
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from passerelle.errors import OutsideError
from passerelle.rollout import rollout_status as module
from passerelle.rollout.cluster import Cluster
from passerelle.rollout.pod_reasons import latest_events, newest_first, pod_reason, refusal
from passerelle.rollout.rollout_status import wait_for_rollout

IMAGE = "registry.example/classify@sha256:" + "1" * 64
FORBIDDEN = 'Error from server (Forbidden): error when creating "STDIN": pods "classify-trial" is forbidden: '


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "exceeded quota: small, requested: limits.cpu=1,pods=1, used: limits.cpu=2,pods=2, limited: limits.cpu=2,pods=2",
            "the quota small of the namespace team is too small: one pod more needs 1 of limits.cpu (2 of 2 in use), "
            "1 of pods (2 of 2 in use)",
        ),
        (
            "failed quota: strict: must specify limits.ephemeral-storage for: classify",
            "the quota strict of the namespace team asks for limits.ephemeral-storage for: classify, which the overlay does not set",
        ),
        (
            "maximum memory usage per Container is 256Mi, but limit is 384Mi",
            "a LimitRange of the namespace team allows at most 256Mi of memory for each container, and the overlay sets a limit of 384Mi",
        ),
        (
            "minimum cpu usage per Container is 500m, but request is 250m",
            "a LimitRange of the namespace team allows at least 500m of cpu for each container, and the overlay sets a request of 250m",
        ),
        ('violates PodSecurity "restricted:latest": host namespaces', 'violates PodSecurity "restricted:latest": host namespaces'),
    ],
)
def test_a_refusal_is_one_sentence(said: str, sentence: str) -> None:
    assert refusal(FORBIDDEN + said, "team") == sentence


def pod(name: str, at: str, *, image: str = IMAGE, ready: bool = False, **state: dict[str, Any]) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"phase": "Running" if ready else "Pending", "conditions": conditions, "containerStatuses": [{"ready": ready, "state": state}]}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "creationTimestamp": at},
        "spec": {"containers": [{"image": image}]},
        "status": status,
    }


def deployment(**status: object) -> dict[str, Any]:
    metadata = {"name": "classify", "generation": 2}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 2}, "status": {"observedGeneration": 2, **status}}


PULL = {"reason": "ErrImagePull", "message": "manifest unknown"}
OLDER = pod("classify-a", "2026-01-01T00:00:00Z", waiting={"reason": "ContainerCreating"})
NEWEST = pod("classify-b", "2026-01-01T00:05:00Z", waiting=PULL)


def event(about: str, message: str, *, kind: str = "Warning", **times: str) -> dict[str, Any]:
    return {"type": kind, "involvedObject": {"name": about}, "message": message, "metadata": {}, **times}


EVENTS = [
    event("classify-b", "newer", eventTime="2026-01-01T00:06:00Z"),
    event("classify-b", "older", lastTimestamp="2026-01-01T00:05:00Z"),
    event("other", "of others", lastTimestamp="2026-01-01T00:09:00Z"),
    event("classify-b", "scheduled", kind="Normal", lastTimestamp="2026-01-01T00:09:00Z"),
]


def test_the_newest_pod_and_the_latest_events_come_first() -> None:
    ending = pod("classify-c", "2026-01-01T00:09:00Z")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
    assert [each["metadata"]["name"] for each in newest_first([OLDER, ending, NEWEST])] == ["classify-b", "classify-a"]
    assert pod_reason(NEWEST["status"]) == ("ErrImagePull", "ErrImagePull: manifest unknown")
    assert latest_events(EVENTS, ["classify-b"]) == ["newer", "older"]


@dataclass(frozen=True)
class ClusterForTests(Cluster):
    """Lists the same objects whenever it is asked, and counts how often."""

    listed: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def kubectl(self, *arguments: str, **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(" ".join(arguments[:2]))
        items = EVENTS if arguments[1] == "events" else self.listed
        out = "" if arguments[0] == "logs" else json.dumps({"items": items})
        return subprocess.CompletedProcess(arguments, 0, out, "")


@pytest.fixture(autouse=True)
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look at the clock be one second later than the one before."""
    clock = itertools.count()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(clock)), sleep=lambda _: None))


def stuck(*listed: dict[str, Any]) -> tuple[str, int]:
    cluster = ClusterForTests(Path("production"), "team", (), list(listed))
    with pytest.raises(OutsideError) as told:
        wait_for_rollout(cluster, IMAGE)
    return told.value.message, cluster.asked.count("get deployments,pods")


def test_what_the_newest_pod_waits_for_is_said_long_before_the_deadline() -> None:
    message, asked = stuck(deployment(replicas=4), OLDER, NEWEST)
    assert [line.strip() for line in message.splitlines()[1:]] == ["ErrImagePull: manifest unknown", "newer", "older"]
    assert asked < 30


def test_a_replica_set_that_may_make_no_pod_says_why() -> None:
    said = 'pods "classify-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
    former = pod("classify-old", "2026-01-01T00:00:00Z", image="former", ready=True)
    message, asked = stuck(deployment(replicas=2, conditions=[failure]), former)
    assert "the quota small of the namespace team is too small: one pod more needs 1 of pods (2 of 2 in use)" in message
    assert asked < 30


def test_a_status_of_before_the_roll_out_is_not_taken_for_its_end() -> None:
    done = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    ready = [pod(f"classify-{name}", "2026-01-01T00:00:00Z", ready=True) for name in "xy"]
    current = ClusterForTests(Path("production"), "team", (), [deployment(**done), *ready])
    assert wait_for_rollout(current, IMAGE) == ("classify-y", "classify-x")
    earlier = deployment(**done)
    earlier["metadata"]["generation"] = 3
    assert "do not get ready" in stuck(earlier, *ready)[0]

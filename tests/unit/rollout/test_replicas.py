"""The replicas of a service are found where an engine or a cluster can name them, and asked one by one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import OutsideError
from passerelle.rollout import replicas
from passerelle.rollout.cluster import Cluster
from passerelle.rollout.manifests import variables_of, with_candidate, with_doors
from passerelle.rollout.replicas import ReplicaReport, of_cluster, of_stack
from passerelle.rollout.secret_files import API_KEY
from passerelle.rollout.stack import Stack
from passerelle.stages import live_services
from passerelle.stages.context import context_of
from passerelle.stages.live_services import replicas_of
from passerelle.stages.rollout_options import RolloutOptions

REPORT = {"metrics": "up 1\n", "readiness": json.dumps({"ready": True})}
READ = ReplicaReport("up 1\n", {"ready": True})


def done(content: object = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, content if isinstance(content, str) else json.dumps(content), "no")


class StackForTests(Stack):
    """A stack with one replica that answers, and one that was stopped."""

    def containers(self) -> dict[str, Any]:
        return {
            "service-1": {"State": {"Running": True}},
            "service-2": {"State": {"Running": False}},
            "mlflow": {"State": {"Running": True}},
        }

    def compose(self, *arguments: str, given: str | bytes | None = None, **_: Any) -> subprocess.CompletedProcess[str]:
        assert arguments[:5] == ("--profile", "service", "exec", "-T", "service-1")
        assert json.loads(str(given)) == {"key": "the key"}
        return done(REPORT)

    def service_address(self) -> str:
        return "https://classify.example.org"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / API_KEY
    secret.write_text("the key", encoding="utf-8")
    secret.chmod(0o600)
    return StackForTests(tmp_path)


class ClusterForTests(Cluster):
    """A cluster with two pods that are ready, one that is not, and one that ends; the second does not answer."""

    def kubectl(self, *arguments: str, **_: Any) -> subprocess.CompletedProcess[str]:
        if arguments[0] == "get":
            return done({"items": [pod("a"), pod("b"), pod("c", ready="False"), pod("d", deletionTimestamp="now")]})
        return done(REPORT) if arguments[2] == "a" else done(code=1)


def pod(name: str, ready: str = "True", **metadata: str) -> Mapping[str, Any]:
    return {"metadata": {"name": name, **metadata}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def test_the_engine_names_the_replicas_behind_the_proxy(stack: Stack) -> None:
    assert [(each.where, each.read()) for each in of_stack(stack)] == [("service-1", READ)]


def test_the_cluster_names_the_pods_that_are_ready() -> None:
    found = of_cluster(ClusterForTests(Path(), "here", ()), "the key")
    assert [(each.where, each.read()) for each in found] == [("a", READ), ("b", replicas.SILENT)]


def test_a_cluster_that_does_not_answer_is_an_error() -> None:
    class Silent(ClusterForTests):
        def kubectl(self, *_: str, **__: Any) -> subprocess.CompletedProcess[str]:
            return done(code=1)

    with pytest.raises(OutsideError, match="the pods of here/classify cannot be listed: no"):
        of_cluster(Silent(Path(), "here", ()), None)


@pytest.mark.parametrize(
    ("options", "address", "where"),
    [
        (RolloutOptions(status=True), "https://classify.example.org", ["service-1"]),
        (RolloutOptions(status=True), "https://classify.example.org/", ["service-1"]),
        (RolloutOptions(status=True), "https://other.example.org", ["https://other.example.org"]),
        (RolloutOptions(status=True), None, []),
        (RolloutOptions(status=True, addresses=("http://one", "http://two")), "https://classify.example.org", ["http://one", "http://two"]),
        (RolloutOptions(status=True, target="compose"), None, ["service-1"]),
        (RolloutOptions(status=True, target="kubernetes"), None, ["a", "b"]),
    ],
)
def test_who_is_compared_by(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, options: RolloutOptions, address: str | None, where: Sequence[str]
) -> None:
    monkeypatch.setattr(live_services, "find_stack", lambda _: stack)
    monkeypatch.setattr(Stack, "check", lambda _: None)
    monkeypatch.setattr(live_services, "find_cluster", lambda *_: ClusterForTests(Path(), "here", ()))
    folder = stack.folder
    given = {"PASSERELLE_STATE_DIR": str(folder)} | ({"PASSERELLE_SERVICE_ADDRESS": address} if address else {})
    assert [each.where for each in replicas_of(context_of(given), options, folder)] == where


def test_a_folder_without_a_stack_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {"PASSERELLE_STATE_DIR": str(tmp_path), "PASSERELLE_SERVICE_ADDRESS": "https://other.example.org"}
    assert [each.where for each in replicas_of(context_of(given), RolloutOptions(status=True), tmp_path)] == ["https://other.example.org"]


def overlay(*names: str) -> Cluster:
    env = [{"name": name, "value": "production"} for name in names]
    spec = {"template": {"spec": {"containers": [{"name": "classify", "env": env}]}}}
    return Cluster(Path(), "here", ({"kind": "Deployment", "metadata": {"name": "classify"}, "spec": spec},))


def test_deploy_lets_pods_that_follow_take_part_in_a_rollout() -> None:
    following = overlay("PASSERELLE_FOLLOW", "PASSERELLE_FOLLOW_CANDIDATE")
    assert variables_of(with_candidate(following, "on")) == {"PASSERELLE_FOLLOW": "production", "PASSERELLE_FOLLOW_CANDIDATE": "on"}
    assert with_candidate(following, None) is following
    assert variables_of(with_candidate(overlay("PASSERELLE_AUTH"), "on")) == {"PASSERELLE_AUTH": "production"}


def test_deploy_lets_pods_answer_foreign_protocols() -> None:
    pinned = overlay("PASSERELLE_DOORS")
    assert variables_of(with_doors(pinned, "v2,invocations")) == {"PASSERELLE_DOORS": "v2,invocations"}
    assert with_doors(pinned, None) is pinned

"""The service among others on a real Kubernetes: rights of one namespace, foreign pods, quotas, other owners, and wrong images."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import ClusterForTests
from tests.cluster.pods import NAMESPACE, image_of, pods, ready, rendered, two_ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.engine,
    pytest.mark.kubernetes,
    pytest.mark.timeout(1800),
]
INSIDE = ("--namespace", NAMESPACE)
#: As OpenShift's restricted-v2 gives them to a namespace.
OPENSHIFT_USER = 1000650000


def test_who_deploys_has_no_right_outside_of_the_namespace(running: ClusterForTests) -> None:
    """Every roll-out of these tests is by this account."""
    assert running.deployer is not None
    own = {"KUBECONFIG": str(running.deployer)}

    def may(*what: str) -> str:
        return running.run("kubectl", "auth", "can-i", *what, variables=own).stdout.strip()

    assert may("patch", "deployments", *INSIDE) == "yes"
    outside = (("get", "namespaces"), ("get", "nodes"), ("list", "pods", "--all-namespaces"), ("delete", "namespaces"))
    assert {what: may(*what) for what in outside} == dict.fromkeys(outside, "no")
    assert (may("list", "secrets", *INSIDE), may("delete", "secrets", *INSIDE)) == ("no", "no")


@pytest.fixture
def foreign(running: ClusterForTests) -> Iterator[dict[str, Any]]:
    """Somebody else's pod in the namespace, here of the image as OpenShift would run it: a user that no image knows, in the group 0."""
    spec = next(each for each in rendered(running, "openshift") if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    spec["containers"][0]["image"] = running.images["good"]
    spec["securityContext"] |= {"runAsUser": OPENSHIFT_USER, "runAsGroup": 0, "fsGroup": OPENSHIFT_USER}
    metadata = {"name": "foreign", "namespace": NAMESPACE, "labels": {"app": "somebodys"}}
    running.kubectl("apply", "--filename", "-", given=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    running.kubectl(*INSIDE, "wait", "--for=condition=Ready", "pod/foreign", "--timeout=60s")
    yield running.get("pod", "foreign", *INSIDE)
    running.kubectl(*INSIDE, "delete", "pod", "foreign", "--grace-period=1")


def test_a_foreign_pod_is_left_alone_and_a_random_user_runs_the_image(running: ClusterForTests, foreign: dict[str, Any]) -> None:
    two_ready(running)
    said = running.kubectl(*INSIDE, "exec", "foreign", "--", "python3", "-I", "-c", "import os; print(os.getuid(), os.getgid())")
    assert said.split() == [str(OPENSHIFT_USER), "0"]
    budget = running.get("poddisruptionbudget", "classify", *INSIDE)
    assert budget["status"]["expectedPods"] == 2, "the foreign pod is not counted as one that answers"
    slices = running.get("endpointslices", *INSIDE, "--selector", "kubernetes.io/service-name=classify")["items"]
    behind = {address for each in slices for endpoint in each.get("endpoints") or () for address in endpoint["addresses"]}
    assert foreign["status"]["podIP"] not in behind
    for policy in running.get("networkpolicies", *INSIDE)["items"]:
        labels = policy["spec"]["podSelector"].get("matchLabels", {})
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        selected = running.get("pods", *INSIDE, "--selector", selector)["items"]
        assert selected
        assert "foreign" not in {pod["metadata"]["name"] for pod in selected}, policy["metadata"]["name"]


def test_a_quota_that_is_too_small_is_said_before_anything_changes(running: ClusterForTests) -> None:
    two_ready(running)
    running.kubectl(*INSIDE, "create", "quota", "small", "--hard=limits.memory=1Gi")
    try:
        began = time.monotonic()
        said = running.deploy("other")
        seconds = time.monotonic() - began
    finally:
        running.kubectl(*INSIDE, "delete", "quota", "small")
    assert said.returncode == 3, said.stdout + said.stderr
    words = "the quota small of the namespace passerelle is too small: one pod more needs 384Mi of limits.memory"
    assert words in " ".join(said.stderr.split())
    assert image_of(running) == running.images["good"]
    assert seconds < 30


def test_what_a_repository_keeps_is_not_rolled_out_directly(running: ClusterForTests) -> None:
    image = [{"name": "classify", "image": running.images["good"]}]
    claim = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "classify", "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": image}}},
    }
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--filename", "-")
    running.kubectl(*apply, given=json.dumps(claim))
    try:
        said = running.deploy("other")
    finally:
        nobody = json.dumps([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}])
        running.kubectl(*INSIDE, "patch", "deployment", "classify", "--type=json", "--patch", nobody)
    words = " ".join(said.stderr.split())
    assert said.returncode == 2, words
    assert "is kept by Argo CD, which would undo a direct roll-out" in words
    assert "--render FOLDER" in words
    assert image_of(running) == running.images["good"]


def test_an_image_that_holds_another_model_answers_nobody(
    running: ClusterForTests, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """By `deploy`, and by manifests that somebody applies: Argo CD, Flux, or a person with kubectl."""
    names = {pod["metadata"]["name"] for pod in two_ready(running)}
    folder = tmp_path / "manifests"
    with running.traffic() as seen:
        direct = running.deploy("wrong")
        assert running.deploy("wrong", "--render", str(folder)).returncode == 0
        running.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(folder / "deployment-classify.yaml"))
        refused = said_by_the_new_pod(running, "and the deployment expects")
        started = [pod for pod in pods(running) if pod["metadata"]["name"] not in names]
        running.kubectl(*INSIDE, "rollout", "undo", "deployment/classify")
        running.kubectl(*INSIDE, "rollout", "status", "deployment/classify", "--timeout=120s")
    assert direct.returncode == 3, direct.stdout + direct.stderr
    assert "the model is refused: the image holds version 7 with the artifact digest" in " ".join(direct.stderr.split())
    assert "the model is refused" in refused
    assert [ready(pod) for pod in started] == [False]
    asked = sum(seen["statuses"].values())
    assert (list(seen["statuses"]), seen["errors"]) == (["200"], [])
    assert len(seen["labels"]) == 1, seen["labels"]
    assert asked > 200
    record_property("figure", f"kubernetes: wrong image, by deploy and by kubectl: {asked} requests, 0 failed, 0 answered wrongly")


def said_by_the_new_pod(cluster: ClusterForTests, words: str) -> str:
    """Wait until a pod of the wrong image has said these words, and return its log."""
    deadline, log = time.monotonic() + 90, ""
    while words not in log and time.monotonic() < deadline:
        for pod in pods(cluster):
            if pod["spec"]["containers"][0]["image"] == cluster.images["wrong"]:
                log = cluster.run("kubectl", *INSIDE, "logs", pod["metadata"]["name"]).stdout
        time.sleep(0.5)
    # Whether it gets ready after all is seen within the next probes.
    time.sleep(5)
    return log

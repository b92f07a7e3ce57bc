"""What the overlays of Kubernetes want of a cluster, as kubectl renders them."""

from __future__ import annotations

import json
import shutil
from os import pardir
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import NotFoundError, UsageError
from passerelle.rollout.cluster import Cluster, find_cluster
from passerelle.rollout.kubernetes import deploy
from tests.engine_fixtures import ROOT
from tests.integration.cluster_in_memory import POD, RELEASE, ClusterForTests, tried

__all__ = ["tried"]


def test_an_overlay_needs_no_namespace_object(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "deploy" / "kubernetes")
    path = tmp_path / "deploy" / "kubernetes" / "overlays" / "production" / "kustomization.yaml"
    path.write_text(path.read_text().replace("namespace.yaml, ", ""))
    assert find_cluster(tmp_path, "production").namespace == "passerelle"
    path.write_text(path.read_text().replace("namespace: passerelle\n", ""))
    with pytest.raises(UsageError, match="does not name one namespace"):
        find_cluster(tmp_path, "production")


FOLLOWING = f"\ncomponents: [{pardir}/{pardir}/components/following]\n"


@pytest.fixture(params=["development", "production"])
def following(request: pytest.FixtureRequest, tmp_path: Path) -> ClusterForTests:
    """An overlay with the component that lets its pods follow the registry."""
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "deploy" / "kubernetes")
    with (tmp_path / "deploy" / "kubernetes" / "overlays" / request.param / "kustomization.yaml").open("a") as file:
        file.write(FOLLOWING)
    found = find_cluster(tmp_path, request.param)
    return ClusterForTests(found.overlay, found.namespace, found.objects)


def of_kind(cluster: Cluster, kind: str) -> list[dict[str, Any]]:
    return [each for each in cluster.objects if each["kind"] == kind]


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_pinned_pods_ask_nobody_and_hold_no_account(overlay: str) -> None:
    pinned = find_cluster(ROOT, overlay)
    (policy,) = of_kind(pinned, "NetworkPolicy")
    assert (policy["spec"]["egress"], policy["spec"]["policyTypes"]) == ([], ["Ingress", "Egress"])
    (deployment,) = of_kind(pinned, "Deployment")
    assert "FOLLOW" not in json.dumps(deployment)


def test_pods_that_follow_reach_mlflow_and_the_dns_and_keep_all_that_hardens_them(following: ClusterForTests) -> None:
    pinned = find_cluster(ROOT, following.overlay.name)
    base, added = sorted(of_kind(following, "NetworkPolicy"), key=lambda each: len(each["metadata"]["name"]))
    assert base == of_kind(pinned, "NetworkPolicy")[0]
    (deployment,), (before,) = of_kind(following, "Deployment"), of_kind(pinned, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert added["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert added["metadata"]["namespace"] == following.namespace
    assert added["spec"]["policyTypes"] == ["Egress"]
    reached = {
        (to["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
        for rule in added["spec"]["egress"]
        for to in rule["to"]
        for port in rule["ports"]
    }
    assert reached == {("mlflow", 5000), ("kube-system", 53)}
    assert all("podSelector" in to for rule in added["spec"]["egress"] for to in rule["to"])
    pod, former = deployment["spec"]["template"]["spec"], before["spec"]["template"]["spec"]
    (container,), (earlier,) = pod.pop("containers"), former.pop("containers")
    folder = next(each for each in pod["volumes"] if each["name"] == "follow")
    assert folder["emptyDir"] == {"sizeLimit": "1Gi"}
    added_names = {"follow", "follower"}
    pod["volumes"] = [each for each in pod["volumes"] if each["name"] not in added_names]
    container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] not in added_names]
    container["env"] = [each for each in container["env"] if "FOLLOW" not in each["name"]]
    assert pod | {"volumes": sorted(pod["volumes"], key=str)} == former | {"volumes": sorted(former["volumes"], key=str)}
    for each in (container, earlier):
        each["env"], each["volumeMounts"] = sorted(each["env"], key=str), sorted(each["volumeMounts"], key=str)
    assert container == earlier


def test_what_the_pods_follow_is_told_and_their_account_is_looked_for(following: ClusterForTests) -> None:
    planned = deploy(following, RELEASE, api_key="key", dry_run=True)
    assert str(planned.following) == "follows production: polls every 2 s; polling alone is on: a webhook reaches one of several pods"
    following.says["get secret classify-follower"] = (0, "\n", "")
    with pytest.raises(NotFoundError, match="holds no Secret classify-follower") as told:
        deploy(following, RELEASE, api_key="key")
    hint = f"kubectl --namespace {following.namespace} create secret generic classify-follower --from-file=password=FILE"
    assert told.value.hint == hint


def test_a_pod_that_follows_may_answer_with_a_newer_version(following: ClusterForTests) -> None:
    following.pods.append(POD)
    following.says["exec"] = (0, json.dumps([{"status": 200, "body": {"model_version": "8", "label": "a", "top": []}}]), "")
    done = deploy(following, RELEASE, api_key="key")
    assert done.smoke is not None
    assert (done.smoke.model_version, done.smoke.inputs) == ("8", 0)


#: What the security context constraint restricted-v2 lets a pod mount.
RESTRICTED_V2 = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def test_the_overlay_for_openshift_names_no_user_and_nothing_that_restricted_v2_refuses() -> None:
    cluster = find_cluster(ROOT, "openshift")
    assert of_kind(cluster, "Namespace") == [], "a project is its owner's to make"
    (deployment,) = of_kind(cluster, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        context = container["securityContext"]
        assert not {"runAsUser", "runAsGroup"} & context.keys()
        assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]})
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= RESTRICTED_V2
    production = {(each["kind"], each["metadata"]["name"]) for each in find_cluster(ROOT, "production").objects}
    there = {(each["kind"], each["metadata"]["name"]) for each in cluster.objects}
    assert production - there == {("Namespace", "passerelle")}

"""A roll-out that fails is undone in all its objects; what the cluster says reaches who reads the error. tests/cluster has a real one."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass, field
from os import pardir
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.errors import NotFoundError, OutsideError, PasserelleError, UsageError
from passerelle.model.golden import Golden
from passerelle.names import BentoTag
from passerelle.rollout import kubernetes
from passerelle.rollout.cluster import Cluster, find_cluster
from passerelle.rollout.kubernetes import deploy
from passerelle.rollout.release import Release
from tests.engine_fixtures import ROOT

IMAGE = "registry.example/classify@sha256:" + "0" * 64
RELEASE = Release(BentoTag("classification", "7-aaaa1111"), IMAGE, Golden(({"text": "x"},), ("a",), ("a",), None, 1e-9), "7")
FORBIDDEN = 'Error from server (Forbidden): secrets "classify-keys" is forbidden: User "x" cannot get resource "secrets"'
Said = tuple[int, str, str]


@dataclass(frozen=True)
class ClusterForTests(Cluster):
    """Keeps the objects that it is given, as a cluster does that accepts everything."""

    held: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    says: dict[str, Said] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def kubectl(
        self,
        *arguments: str,
        given: str | None = None,
        timeout_s: float = 60,  # noqa: ARG002 - the signature is kubectl's in src
        namespaced: bool = True,  # noqa: ARG002
    ) -> subprocess.CompletedProcess[str]:
        self.asked.append(" ".join(arguments[:3]))
        code, out, err = next((said for start, said in self.says.items() if " ".join(arguments).startswith(start)), (0, "", ""))
        if code == 0:
            out = out or self._done(arguments, [each for each in yaml.safe_load_all(given or "") if each])
        return subprocess.CompletedProcess(arguments, code, out, err)

    def _done(self, arguments: tuple[str, ...], given: list[dict[str, Any]]) -> str:
        keys = [(each["kind"], each["metadata"]["name"]) for each in given]
        if arguments[0] in ("apply", "replace"):
            assert all(key in self.held for key in keys) or arguments[0] == "apply"
            self.held.update(zip(keys, copy.deepcopy(given), strict=True))
        elif arguments[0] == "delete":
            for key in keys:
                self.held.pop(key, None)
        elif arguments[:2] == ("get", "--filename"):
            found = [_as_held(self.held[key]) for key in keys if key in self.held]
            return json.dumps({"kind": "List", "items": found} if len(found) > 1 else found[0]) if found else ""
        elif arguments[:2] == ("get", "deployment"):
            found = [self.held[key] for key in self.held if key[0] == "Deployment"]
            if found and "--output" in arguments and "json" in arguments:
                return json.dumps(_as_held(found[0]))
            return str(found[0]["spec"].get("replicas", 1)) if found else ""
        elif arguments[:2] == ("get", "secret"):
            return "secret/classify-keys"
        return json.dumps({"items": []}) if arguments[:2] == ("get", "pods") else ""


def _as_held(each: dict[str, Any]) -> dict[str, Any]:
    metadata = {**each["metadata"], "uid": "1", "resourceVersion": "12", "managedFields": []}
    return {**each, "metadata": metadata, "status": {"observedGeneration": 3}}


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod of the new image answered its golden inputs; tests/integration/test_trial_pod.py tries one."""
    monkeypatch.setattr(kubernetes, "trial_pod", lambda *_: nullcontext("classify-trial"))
    replayed = kubernetes._replayed
    monkeypatch.setattr(kubernetes, "_replayed", lambda *given, **how: None if given[3] == "classify-trial" else replayed(*given, **how))


@pytest.fixture
def cluster() -> ClusterForTests:
    found = find_cluster(ROOT, "production")
    return ClusterForTests(found.overlay, found.namespace, found.objects)


def fails(cluster: ClusterForTests, error: type[PasserelleError] = OutsideError, key: str | None = "key") -> PasserelleError:
    with pytest.raises(error) as told:
        deploy(cluster, RELEASE, api_key=key)
    return told.value


def earlier(cluster: ClusterForTests) -> dict[tuple[str, str], dict[str, Any]]:
    """Put an earlier state of the overlay into the cluster, other than this one in every object, and return it."""
    for each in cluster.objects:
        former = copy.deepcopy(dict(each))
        former["metadata"]["annotations"] = {"kubernetes.io/change-cause": "earlier"}
        if each["kind"] == "Deployment":
            former["spec"] |= {"replicas": 3, "progressDeadlineSeconds": 17, "strategy": {"type": "Recreate"}}
        if each["kind"] == "HorizontalPodAutoscaler":
            former["spec"]["maxReplicas"] = 9
        cluster.held[each["kind"], each["metadata"]["name"]] = former
    return copy.deepcopy(cluster.held)


def test_a_failed_roll_out_puts_every_object_back(cluster: ClusterForTests) -> None:
    before = earlier(cluster)
    del cluster.held["Ingress", "classify"]
    before.pop(("Ingress", "classify"))
    error = fails(cluster)
    assert "do not get ready" in error.message
    assert "not undone" not in error.message
    before["Deployment", "classify"]["spec"]["replicas"] = 1  # As many as the cluster has by then: the autoscaler's to say.
    namespace = ("Namespace", "passerelle")
    assert {key: each for key, each in cluster.held.items() if key != namespace} == {k: e for k, e in before.items() if k != namespace}


def test_a_first_roll_out_that_fails_leaves_the_namespace_alone(cluster: ClusterForTests) -> None:
    fails(cluster)
    assert list(cluster.held) == [("Namespace", "passerelle")]


def test_an_undo_that_fails_is_told_beside_what_went_wrong_first(cluster: ClusterForTests) -> None:
    earlier(cluster)
    cluster.says["replace"] = (1, "", "the server has no room")
    error = fails(cluster)
    assert "do not get ready" in error.message
    assert "not undone: the server has no room" in error.message


def test_a_deployment_without_a_revision_is_put_back_too(cluster: ClusterForTests) -> None:
    earlier(cluster)
    del cluster.held["Deployment", "classify"]["metadata"]["annotations"]
    fails(cluster)
    assert "annotations" not in cluster.held["Deployment", "classify"]["metadata"]


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ((1, "", FORBIDDEN), OutsideError, "cannot be found out.*Forbidden"),
        ((0, "\n", ""), NotFoundError, "holds no Secret classify-keys"),
    ],
    ids=["forbidden", "missing"],
)
def test_a_secret_that_may_not_be_seen_is_told_from_one_that_is_missing(
    cluster: ClusterForTests, said: Said, error: type[PasserelleError], words: str
) -> None:
    cluster.says["get secret"] = said
    with pytest.raises(error, match=words):
        deploy(cluster, RELEASE, api_key="key")
    assert list(cluster.held) == [("Namespace", "passerelle")]


@pytest.mark.parametrize("made", [True, False])
def test_pods_are_told_of_the_key_of_the_digests_where_there_is_one(
    cluster: ClusterForTests, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    cluster.says["get secret classify-log"] = (0, "\n", "")
    if not made:
        cluster.says["create --filename"] = (1, "", FORBIDDEN)
    monkeypatch.setattr(kubernetes, "_rolled_out", lambda *_: (1, None))
    deploy(cluster, RELEASE, api_key="key")
    pod = cluster.held["Deployment", "classify"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    named = [entry["value"] for entry in container["env"] if entry["name"] == "PASSERELLE_LOG_DIGEST_KEY_FILE"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "log"]
    assert named == ([f"{mount['mountPath']}/digest-key"] if made else [])
    assert mount["readOnly"] is True
    (secret,) = [each["secret"] for each in pod["volumes"] if each["name"] == "log"]
    assert (secret["secretName"], secret["optional"], secret["defaultMode"]) == ("classify-log", True, 0o440)
    assert ("create --filename -" in cluster.asked, "replace --filename -" in cluster.asked) == (True, False)


def test_what_cannot_be_seen_is_not_changed(cluster: ClusterForTests) -> None:
    earlier(cluster)
    cluster.says["get --filename"] = (1, "", FORBIDDEN)
    assert "does not say what it holds" in fails(cluster).message
    assert "replace --filename -" not in cluster.asked


@pytest.mark.parametrize("dry_run", [True, False])
def test_without_a_key_nothing_is_tried_where_the_pods_ask_for_one(cluster: ClusterForTests, dry_run: bool) -> None:
    with pytest.raises(UsageError, match="PASSERELLE_API_KEY is not set") as told:
        deploy(cluster, RELEASE, api_key=None, dry_run=dry_run)
    assert "export PASSERELLE_API_KEY" in str(told.value.hint)
    assert cluster.asked == []


def test_a_key_that_the_pods_do_not_know_is_named(cluster: ClusterForTests) -> None:
    pod = {
        "metadata": {"name": "classify-1"},
        "spec": {"containers": [{"image": IMAGE}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    cluster.says["get pods"] = (0, json.dumps({"items": [pod]}), "")
    cluster.says["exec"] = (0, json.dumps([{"status": 401, "body": {"code": "unauthorized"}}]), "")
    error = fails(cluster)
    assert "answers 401" in error.message
    assert "PASSERELLE_API_KEY" in str(error.hint)


def test_the_page_exports_the_key_before_it_deploys() -> None:
    page = (ROOT / "docs" / "08-deploy.md").read_text()
    assert page.index("passerelle keys make site") < page.index("export PASSERELLE_API_KEY=") < page.index("--overlay production --image")


def test_the_project_is_where_the_overlays_are() -> None:
    with pytest.raises(UsageError, match="there is no overlay"):
        find_cluster(Path("/nonexistent"), "production")


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
    pod = {
        "metadata": {"name": "classify-1"},
        "spec": {"containers": [{"image": IMAGE}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    following.says["get pods"] = (0, json.dumps({"items": [pod]}), "")
    following.says["exec"] = (0, json.dumps([{"status": 200, "body": {"model_version": "8", "label": "a", "top": []}}]), "")
    done = deploy(following, RELEASE, api_key="key")
    assert done.smoke is not None
    assert (done.smoke.model_version, done.smoke.inputs) == ("8", 0)

"""A roll-out that fails is undone in all its objects; what the cluster says reaches who reads the error. tests/cluster has a real one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import IntegrityError, NotFoundError, OutsideError, PasserelleError, UsageError
from passerelle.rollout import kubernetes
from passerelle.rollout.cluster import find_cluster
from passerelle.rollout.kubernetes import deploy
from tests.engine_fixtures import ROOT
from tests.integration.cluster_in_memory import FORBIDDEN, POD, RELEASE, ClusterForTests, Said, tried

__all__ = ["tried"]


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


def test_an_image_that_answers_otherwise_gets_no_request(cluster: ClusterForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers_otherwise(*_: object, **__: object) -> None:
        raise IntegrityError("classify-trial answers as version 6, not 7")

    monkeypatch.setattr(kubernetes, "_replayed", answers_otherwise)
    before = earlier(cluster)
    fails(cluster, IntegrityError)
    assert cluster.held == before, "nothing of the new image was applied"


def test_rights_in_the_namespace_alone_are_enough(cluster: ClusterForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.says["get namespace"] = (1, "", 'Error from server (Forbidden): namespaces "passerelle" is forbidden')
    monkeypatch.setattr(kubernetes, "_rolled_out", lambda *_: (1, None))
    deploy(cluster, RELEASE, api_key="key")
    assert ("Namespace", "passerelle") not in cluster.held
    assert ("Deployment", "classify") in cluster.held


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
    cluster.pods.append(POD)
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

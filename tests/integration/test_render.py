"""Manifests for Argo CD and Flux: the same bytes each time, complete for kustomize, without a secret, and never over somebody's file."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from passerelle.errors import UsageError
from passerelle.rollout.cluster import Cluster, find_cluster
from passerelle.rollout.kubernetes import deploy
from passerelle.rollout.manifest_files import render
from tests.engine_fixtures import ROOT
from tests.integration.cluster_in_memory import RELEASE, ClusterForTests, tried

__all__ = ["tried"]
DIGEST = "sha256:" + "d" * 64
NAMED = replace(RELEASE, artifact_digest=DIGEST)


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return find_cluster(ROOT, "production")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_manifests_are_what_the_overlay_gives_with_the_image_and_its_model(cluster: Cluster, tmp_path: Path) -> None:
    planned = render(cluster, NAMED, tmp_path / "planned", dry_run=True)
    assert not (tmp_path / "planned").exists()
    done = render(cluster, NAMED, tmp_path / "manifests")
    assert (done.files, done.written, done.removed) == (planned.files, planned.written, ())
    assert done.secrets == ("classify-keys", "classify-metrics", "classify-tls")
    kubectl = shutil.which("kubectl")
    assert kubectl is not None
    built = subprocess.run([kubectl, "kustomize", str(tmp_path / "manifests")], capture_output=True, text=True, check=True, timeout=60)
    objects = list(yaml.safe_load_all(built.stdout))
    assert sorted(each["kind"] for each in objects) == sorted(each["kind"] for each in cluster.objects)
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == NAMED.image
    assert {"name": "PASSERELLE_EXPECTED_DIGEST", "value": DIGEST} in container["env"]
    assert template["metadata"]["annotations"]["passerelle/artifact-digest"] == DIGEST
    assert "replicas" not in deployment["spec"], "the autoscaler's to say: Argo CD would set it back"


def test_the_same_input_gives_the_same_bytes_and_another_overlay_removes_what_it_lacks(cluster: Cluster, tmp_path: Path) -> None:
    render(cluster, NAMED, tmp_path / "a")
    render(cluster, NAMED, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    (tmp_path / "a" / "README.md").write_text("ours")
    assert render(cluster, NAMED, tmp_path / "a").written == ()
    smaller = find_cluster(ROOT, "development")
    done = render(smaller, NAMED, tmp_path / "a")
    assert set(done.removed) == {"ingress-classify.yaml", "prometheusrule-classify.yaml", "servicemonitor-classify.yaml",
                                 "namespace-passerelle.yaml"}  # fmt: skip
    assert set(contents(tmp_path / "a")) == {*done.files, "README.md"}


def test_somebodys_file_is_left_as_it_is(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "deployment-classify.yaml").write_text("kind: Deployment\n")
    with pytest.raises(UsageError, match=r"holds deployment-classify\.yaml, which passerelle did not write"):
        render(cluster, NAMED, tmp_path)
    assert contents(tmp_path) == {"deployment-classify.yaml": "kind: Deployment\n"}
    with pytest.raises(UsageError, match="is no folder"):
        render(cluster, NAMED, tmp_path / "deployment-classify.yaml")


def test_no_secret_and_no_image_without_a_digest_is_written(cluster: Cluster, tmp_path: Path) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "passerelle"}, "stringData": {"key": "hunter2"}}
    with pytest.raises(UsageError, match="holds the Secret db, and what is rendered is meant to be committed"):
        render(replace(cluster, objects=[*cluster.objects, secret]), NAMED, tmp_path / "x")
    with pytest.raises(UsageError, match="has no digest"):
        render(cluster, replace(NAMED, image="registry.example/classify:7"), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_direct_roll_out_does_not_fight_what_keeps_the_deployment(cluster: Cluster, *, dry_run: bool) -> None:
    there = ClusterForTests(cluster.overlay, cluster.namespace, cluster.objects)
    (deployment,) = json.loads(json.dumps([each for each in cluster.objects if each["kind"] == "Deployment"]))
    deployment["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "comments:apps/Deployment:passerelle/classify"}
    there.held["Deployment", "classify"] = deployment
    with pytest.raises(UsageError, match="is kept by Argo CD comments, which would undo a direct roll-out") as told:
        deploy(there, RELEASE, api_key="key", dry_run=dry_run)
    hint = f"passerelle deploy classification:7-aaaa1111 --target kubernetes --overlay production --image {RELEASE.image} --render FOLDER"
    assert told.value.hint == hint
    assert there.held == {("Deployment", "classify"): deployment}
    assert there.asked == ["get deployment classify"]

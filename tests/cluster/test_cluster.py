"""The manifests on a real Kubernetes, and the service's image really running there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import ClusterForTests
from tests.cluster.pods import NAMESPACE, OVERLAYS, image_of, pods, ready, rendered, two_ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.engine,
    pytest.mark.kubernetes,
    pytest.mark.timeout(1800),
]


@pytest.mark.parametrize("overlay", sorted(path.name for path in OVERLAYS.iterdir()))
def test_every_overlay_is_accepted_without_a_warning(cluster: ClusterForTests, overlay: str) -> None:
    objects = rendered(cluster, overlay)
    for each in objects:
        if each["kind"] == "Deployment":
            each["spec"]["template"]["spec"]["containers"][0]["image"] = cluster.images["good"]
    namespace = next(each for each in rendered(cluster, overlay.replace("openshift", "production")) if each["kind"] == "Namespace")
    assert {namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")} == {
        "restricted"
    }
    cluster.kubectl("apply", "--warnings-as-errors", "--filename", "-", given=json.dumps(namespace))
    cluster.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "--warnings-as-errors",
        "--filename",
        "-",
        given=yaml.safe_dump_all(objects),
    )
    kinds = {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ServiceAccount"}
    kinds |= {"Ingress", "ServiceMonitor", "PrometheusRule"} if overlay != "development" else set()
    assert {each["kind"] for each in objects} == kinds | ({"Namespace"} if overlay != "openshift" else set())


PATCHES: dict[str, Callable[[dict[str, Any]], object]] = {
    "privileged": lambda spec: spec["containers"][0]["securityContext"].update(privileged=True, allowPrivilegeEscalation=True),
    "root": lambda spec: spec["securityContext"].update(runAsUser=0, runAsNonRoot=False),
    "host network": lambda spec: spec.update(hostNetwork=True),
    "a capability": lambda spec: spec["containers"][0]["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    "a path of the node": lambda spec: spec["volumes"].append({"name": "root", "hostPath": {"path": "/"}}),
    "no seccomp": lambda spec: spec["securityContext"].update(seccompProfile={"type": "Unconfined"}),
}


@pytest.mark.parametrize("patch", PATCHES)
def test_a_patch_for_privileges_is_refused(secrets: ClusterForTests, patch: str) -> None:
    deployment = next(each for each in rendered(secrets, "production") if each["kind"] == "Deployment")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried", "namespace": NAMESPACE},
        "spec": deployment["spec"]["template"]["spec"],
    }
    pod["spec"]["serviceAccountName"] = "default"
    create = ("kubectl", "create", "--dry-run=server", "--filename", "-")
    allowed = secrets.run(*create, given=json.dumps(pod))
    assert allowed.returncode == 0, allowed.stderr
    PATCHES[patch](pod["spec"])
    refused = secrets.run(*create, given=json.dumps(pod))
    assert refused.returncode != 0
    assert "violates PodSecurity" in refused.stderr


def test_a_missing_secret_is_said_before_anything_changes(cluster: ClusterForTests) -> None:
    said = cluster.run(
        "passerelle",
        "deploy",
        "--target",
        "kubernetes",
        "--overlay",
        "development",
        "--image",
        cluster.images["good"],
        "classification:7-00000000",
    )
    assert said.returncode == 2, said.stdout + said.stderr
    assert "holds no Secret classify-keys" in said.stderr
    assert cluster.get("deployment", "--namespace", "passerelle-development")["items"] == []


def test_an_image_without_a_digest_is_refused(secrets: ClusterForTests) -> None:
    said = secrets.run(
        "passerelle", "deploy", "--target", "kubernetes", "--image", "passerelle/classification:1", "classification:7-00000000"
    )
    assert (said.returncode, "has no digest" in said.stderr) == (2, True), said.stderr


def test_without_a_key_nothing_is_rolled_out(secrets: ClusterForTests) -> None:
    command = ("passerelle", "deploy", "--target", "kubernetes", "--image", secrets.images["good"], "classification:7-00000000")
    said = secrets.run("env", "--unset", "PASSERELLE_API_KEY", *command)
    assert (said.returncode, "PASSERELLE_API_KEY is not set" in said.stderr) == (2, True), said.stderr


def test_no_cluster_is_said(cluster: ClusterForTests, tmp_path: Path) -> None:
    (tmp_path / "config").write_text('{"apiVersion": "v1", "kind": "Config"}')
    command = ("passerelle", "deploy", "--target", "kubernetes", "--image", cluster.images["good"], "classification:7-00000000")
    said = cluster.run(*command, variables={"KUBECONFIG": str(tmp_path / "config")})
    assert (said.returncode, "the cluster does not answer" in said.stderr) == (3, True), said.stderr
    unknown = cluster.run(*command, "--overlay", "none")
    assert (unknown.returncode, "there is no overlay 'none': development, openshift, production" in unknown.stderr) == (2, True)


def test_the_image_runs_as_a_pod_and_answers_through_its_service(
    running: ClusterForTests, record_property: Callable[[str, object], None]
) -> None:
    held = two_ready(running)
    assert {pod["spec"]["containers"][0]["image"] for pod in held} == {running.images["good"]}
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in held)
    code = (
        "import requests,sys; headers = {'Authorization': 'Bearer ' + sys.argv[2]}\n"
        "print(requests.post('http://%s/classify' % sys.argv[1], json={'text': 'x'}, headers=headers).json())"
    )
    address = running.get("service", "classify", "--namespace", NAMESPACE)["spec"]["clusterIP"]
    answer = running.run("python", "-c", code, address, running.token).stdout
    assert "'model_version': '7'" in answer
    again = running.deploy("good", "--json")
    assert json.loads(again.stdout)["changed"] is False
    started = [pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] for pod in held]
    record_property(
        "figure", f"kubernetes: 2 pods of {running.images['good'][-12:]}, started {min(started)}, answering through the Service"
    )


def test_the_pod_holds_no_privilege(running: ClusterForTests) -> None:
    code = (
        "import json, os\n"
        "status = dict(line.split(':\\t', 1) for line in open('/proc/1/status').read().splitlines() if ':\\t' in line)\n"
        "mounts = {line.split()[1]: line.split()[3].split(',') for line in open('/proc/mounts')}\n"
        "print(json.dumps([status[n].strip() for n in ('CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp')] + [os.getuid(), 'ro' in mounts['/'],"
        " os.path.exists('/var/run/secrets/kubernetes.io')]))"
    )
    said = running.kubectl("--namespace", NAMESPACE, "exec", pods(running)[0]["metadata"]["name"], "--", "python3", "-I", "-c", code)
    effective, bounding, no_new, seccomp, uid, read_only, token = json.loads(said)
    assert (int(effective, 16), int(bounding, 16)) == (0, 0)
    assert (no_new, seccomp, uid, read_only, token) == ("1", "2", 1034, True, False)


def test_the_pod_listens_on_its_http_port_alone(running: ClusterForTests) -> None:
    two_ready(running)
    said = running.run("python", "-m", "tests.listening", "bentoml serve /home/bentoml/bento")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found == {"listening": [["tcp", 3000]], "answering": [["tcp", 3000]]}, "a sidecar and a port-forward reach what listens here"


def test_a_rolling_update_and_an_undo_fail_no_request(running: ClusterForTests, record_property: Callable[[str, object], None]) -> None:
    with running.traffic() as seen:
        forth = running.deploy("other", "--json")
        assert forth.returncode == 0, forth.stderr
        assert image_of(running) == running.images["other"]
        running.kubectl("--namespace", NAMESPACE, "rollout", "undo", "deployment/classify")
        running.kubectl("--namespace", NAMESPACE, "rollout", "status", "deployment/classify", "--timeout=120s")
        assert image_of(running) == running.images["good"]
    asked = sum(seen["statuses"].values())
    assert (list(seen["statuses"]), seen["errors"]) == (["200"], [])
    assert asked > 200
    record_property(
        "figure", f"kubernetes: rolling update ({json.loads(forth.stdout)['seconds']:.1f} s) and undo, {asked} requests, 0 failed"
    )


def impatient_project(folder: Path) -> Path:
    """Copy the overlays, with a deployment that gives up after a quarter of the time: each second more shows the same."""
    overlays = shutil.copytree(OVERLAYS.parent, folder / "impatient" / "deploy" / "kubernetes") / "overlays"
    kustomization = overlays / "production" / "kustomization.yaml"
    content = yaml.safe_load(kustomization.read_text())
    deadline = json.dumps([{"op": "replace", "path": "/spec/progressDeadlineSeconds", "value": 30}])
    content["patches"].append({"target": {"kind": "Deployment", "name": "classify"}, "patch": deadline})
    kustomization.write_text(yaml.safe_dump(content))
    return folder / "impatient"


def test_a_bad_image_never_gets_ready_and_the_old_pods_answer(running: ClusterForTests) -> None:
    names = {pod["metadata"]["name"] for pod in two_ready(running)}
    before = running.get("deployment", "classify", "--namespace", NAMESPACE)
    with running.traffic() as seen:
        said = running.deploy("bad", "--project", str(impatient_project(running.folder.parent)))
    assert said.returncode == 3, said.stdout + said.stderr
    assert "does not get ready, and nothing was changed" in said.stderr
    assert "golden" in said.stderr
    assert (list(seen["statuses"]), seen["errors"]) == (["200"], [])
    assert image_of(running) == running.images["good"]
    assert {pod["metadata"]["name"] for pod in two_ready(running)} == names
    assert running.get("pods", "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/name=classify-trial")["items"] == []
    after = running.get("deployment", "classify", "--namespace", NAMESPACE)
    assert {**after["spec"], "replicas": 2} == {**before["spec"], "replicas": 2}, "the deadline too"
    cause = "kubernetes.io/change-cause"
    assert after["metadata"]["annotations"][cause] == before["metadata"]["annotations"][cause]


def test_a_drain_leaves_one_that_answers(running: ClusterForTests) -> None:
    two_ready(running)
    node = running.get("nodes")["items"][0]["metadata"]["name"]
    try:
        with running.traffic() as seen:
            said = running.run("kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=20s")
        assert said.returncode != 0
        assert "disruption budget" in said.stderr
        assert sum(map(ready, pods(running))) == 1
        assert (list(seen["statuses"]), seen["errors"]) == (["200"], [])
    finally:
        running.kubectl("uncordon", node)
    two_ready(running)


def test_the_memory_limit_is_met_under_load(running: ClusterForTests, record_property: Callable[[str, object], None]) -> None:
    name = two_ready(running)[0]["metadata"]["name"]
    load = (
        "import requests,sys\nheaders, records = {'Authorization': 'Bearer ' + sys.argv[2]}, [{'text': 'rue sans lumiere ' * 40}] * 1000\n"
        "address = 'http://%s:3000/classify/batch' % sys.argv[1]\n"
        "for _ in range(6):\n    answer = requests.post(address, json={'records': records}, headers=headers)\n"
        "    assert answer.status_code == 200"
    )
    said = running.run("python", "-c", load, pods(running)[0]["status"]["podIP"], running.token)
    assert said.returncode == 0, said.stderr
    code = (
        "import os; new, old = '/sys/fs/cgroup/memory.peak', '/sys/fs/cgroup/memory/memory.max_usage_in_bytes'\n"
        "print(open(new if os.path.exists(new) else old).read())"
    )
    peak = int(running.kubectl("--namespace", NAMESPACE, "exec", name, "--", "python3", "-I", "-c", code))
    # Of the limit, a good part is left: the kernel would keep any figure under the limit itself.
    assert peak < 320 * 2**20
    statuses = [pod["status"]["containerStatuses"][0] for pod in two_ready(running)]
    assert [status["restartCount"] for status in statuses] == [0, 0]
    record_property("figure", f"kubernetes: memory peak {peak / 2**20:.0f} MiB of 384 under batches of 1,000")

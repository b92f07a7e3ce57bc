"""A real control plane with one real node, in namespaces of its own, and the service's images on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from passerelle.api_keys import make_key
from tests.cluster.pods import NAMESPACE, rendered, two_ready
from tests.engine_fixtures import ROOT, TAG, BentoForTests
from tests.unit.serving.models import text_pipeline, text_table, vouch_for, write_bento_model

PACKAGES = {"containerd": "containerd", "runc": "runc", "nft": "nftables", "conntrack": "conntrack"}
_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


_RELABELING = _object(targetLabel=_TEXT, replacement=_TEXT)
_ENDPOINT = _object(
    port=_TEXT,
    path=_TEXT,
    interval=_TEXT,
    authorization=_object(type=_TEXT, credentials=_object(name=_TEXT, key=_TEXT)),
    relabelings={"type": "array", "items": _RELABELING},
)
_SELECTOR = _object(matchLabels=_TEXTS)
_MONITOR = _object(spec=_object(selector=_SELECTOR, endpoints={"type": "array", "items": _ENDPOINT}))
_RULE = _object(record=_TEXT, alert=_TEXT, expr=_TEXT, labels=_TEXTS, annotations=_TEXTS, **{"for": _TEXT})
_RULES = _object(spec=_object(groups={"type": "array", "items": _object(name=_TEXT, rules={"type": "array", "items": _RULE})}))


def _definition(kind: str, schema: dict[str, object]) -> dict[str, Any]:
    """Return the definition of a kind that Prometheus' operator would bring, with only what is used here."""
    plural, group = kind.lower() + "s", "monitoring.coreos.com"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": spec,
    }


DEFINITIONS = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [_definition("ServiceMonitor", _MONITOR), _definition("PrometheusRule", _RULES)],
}
TRAFFIC = """
import collections, json, pathlib, sys
from tests.steady_client import two_clients
address, token, stop = sys.argv[1:4]
statuses, labels, errors = collections.Counter(), collections.Counter(), []
def answered(status, body, seconds):
    statuses.update([status])
    labels.update([json.loads(body).get("label")])
clients = two_clients(
    address, token, "rue sans lumiere", ended=pathlib.Path(stop).exists,
    answered=answered, failed=lambda error: errors.append(repr(error)),
)
[client.join() for client in clients]
print(json.dumps({"statuses": statuses, "labels": labels, "errors": errors}))
"""


@dataclass
class ClusterForTests:
    """The cluster, how to get into its namespaces, and what was put on its node."""

    folder: Path
    pid: int
    bento: BentoForTests
    images: dict[str, str]
    token: str
    keys: Path
    environment: dict[str, str] = field(default_factory=dict)
    #: The configuration of who may deploy in one namespace alone.
    deployer: Path | None = None

    def run(
        self, *command: str, given: str | None = None, timeout: float = 280, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where the cluster's addresses are reached."""
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--wd=" + str(ROOT), *command]
        environment = {**self.environment, **(variables or {})}
        return subprocess.run(inside, env=environment, input=given, capture_output=True, text=True, timeout=timeout, check=False)

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        said = self.run("kubectl", *arguments, given=given)
        assert said.returncode == 0, f"{arguments}: {said.stderr}"
        return said.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def deploy(self, image: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = (
            "passerelle",
            "deploy",
            str(TAG),
            "--target",
            "kubernetes",
            "--overlay",
            "production",
            "--image",
            self.images[image],
            *more,
        )
        return self.run(*command, variables={"KUBECONFIG": str(self.deployer)} if self.deployer else None)

    @contextmanager
    def traffic(self) -> Iterator[dict[str, Any]]:
        """Ask through the Service without a pause; what was seen is there at the end."""
        address = "http://" + self.get("service", "classify", "--namespace", "passerelle")["spec"]["clusterIP"]
        stop = self.folder.parent / f"stop-{time.monotonic_ns()}"
        command = ["nsenter", "--target", str(self.pid), "--net", sys.executable, "-c", TRAFFIC, address, self.token, str(stop)]
        seen: dict[str, Any] = {}
        asking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            time.sleep(1)
            yield seen
            time.sleep(1)
        finally:
            stop.touch()
            seen.update(json.loads(asking.communicate(timeout=60)[0]))


def control_plane() -> str:
    """Return the program that makes a cluster here, or skip and say what is missing."""
    program = os.environ.get("KUBERNETES_CONTROL_PLANE", "")
    if not program:
        pytest.skip("KUBERNETES_CONTROL_PLANE is not set: it names a program that starts a control plane and a node")
    missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"a node needs root and apt-get install {' '.join(missing)}")
    return program


def saved(bento: BentoForTests, folder: Path) -> Path:
    """Save four images: a good one, another, one whose golden predictions are not its model's, and one that holds another model."""
    good = str(bento.image().image).split("@")[0]
    names = {"good": good, "other": f"{bento.repository}:other", "bad": f"{bento.repository}:bad", "wrong": f"{bento.repository}:wrong"}
    assert bento.settings.bentoml_home is not None
    golden = bento.settings.bentoml_home / "models" / TAG.name / TAG.version / "golden.json"
    held = json.loads(golden.read_text())
    held["labels"] = held["labels"][1:] + held["labels"][:1]
    held["probabilities"] = held["probabilities"][1:] + held["probabilities"][:1]
    context = folder / "context"
    context.mkdir()
    (context / "golden.json").write_text(json.dumps(held, ensure_ascii=False))
    another_model(context / TAG.version)
    recipes = {
        "wrong": f"FROM {good}\nUSER 0\n"
        f"RUN find /home/bentoml/bento/models/{TAG.name}/{TAG.version} -mindepth 1 ! -name model.yaml -delete\n"
        f"COPY {TAG.version} /home/bentoml/bento/models/{TAG.name}/{TAG.version}\nUSER 1034\n",
        "other": f"FROM {good}\nENV PASSERELLE_REVIEW_THRESHOLD=0.6\n",
        "bad": f"FROM {good}\nCOPY golden.json /home/bentoml/bento/models/{TAG.name}/{TAG.version}/golden.json\n",
    }
    for name, recipe in recipes.items():
        (context / "Dockerfile").write_text(recipe)
        subprocess.run(["docker", "build", "--quiet", "--tag", names[name], str(context)], check=True, capture_output=True, timeout=300)
    # One archive has each layer once.
    archive = folder / "images.tar"
    subprocess.run(["docker", "save", "--output", str(archive), *names.values()], check=True, timeout=300)
    return archive


def another_model(folder: Path) -> None:
    """Write a bento model that is sound in itself, says that it is the same version, and answers with other labels."""
    records, labels = text_table()
    kinds = sorted(set(labels))
    pipeline = text_pipeline().fit(records, labels.map(dict(zip(kinds, kinds[1:] + kinds[:1], strict=True))))
    write_bento_model(folder, pipeline, records)
    said = {"registered_model": "test", "version": "7", "git_commit": "0" * 40}
    lineage = folder / "lineage.json"
    lineage.write_text(json.dumps(json.loads(lineage.read_text()) | said))
    vouch_for(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def by_digest(made: ClusterForTests, bento: BentoForTests) -> None:
    """Give the images on the node the names by digest that a registry would give them."""
    ctr = ("ctr", "--address", str(made.folder / "node" / "containerd.sock"), "--namespace", "k8s.io", "images")
    rows = [line.split() for line in made.run(*ctr, "ls").stdout.splitlines()[1:]]
    digests = {row[0]: row[2] for row in rows}
    tags = {"good": "whole", "other": "other", "bad": "bad", "wrong": "wrong"}
    for name, tag in tags.items():
        image = f"docker.io/{bento.repository}:{tag}"
        pinned = f"docker.io/{bento.repository}@{digests[image]}"
        assert made.run(*ctr, "tag", "--force", image, pinned).returncode == 0
        made.images[name] = pinned


@pytest.fixture(scope="package")
def cluster(bento: BentoForTests) -> Iterator[ClusterForTests]:
    """A cluster whose one node really runs the service's images; the Secrets are there."""
    program = control_plane()
    work = Path(tempfile.mkdtemp(prefix="kube-"))
    folder, stop, ready = work / "c", work / "stop", work / "ready"
    archive = saved(bento, work)
    script = (
        f"'{program}' start {folder} 0 && '{program}' node {folder} {archive} && touch {ready};"
        f" while [ ! -e {stop} ]; do sleep 0.2; done; '{program}' stop {folder}"
    )
    log = (work / "log").open("w+")
    running = subprocess.Popen([program, "private", "bash", "-c", script], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 1200
        while not ready.exists() and time.monotonic() < deadline and running.poll() is None:
            time.sleep(0.5)
        assert ready.exists(), (work / "log").read_text()[-3000:]
        inner = next(child for child in psutil.Process(running.pid).children(recursive=True) if child.parent().name() == "unshare")  # type: ignore[union-attr]
        keys = work / "keys.json"
        token = make_key(keys, "tests").token
        made = ClusterForTests(folder, inner.pid, bento, {}, token, keys)
        foreign = ("PASSERELLE_", "BENTOML_", "MLFLOW_")
        made.environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)} | {
            "KUBECONFIG": str(folder / "kubeconfig"), "PATH": f"{folder / 'bin'}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
            "BENTOML_HOME": str(bento.settings.bentoml_home), "PASSERELLE_STATE_DIR": str(work / "state"), "PASSERELLE_API_KEY": token,
        }  # fmt: skip
        by_digest(made, bento)
        made.kubectl("apply", "--filename", "-", given=json.dumps(DEFINITIONS))
        yield made
    finally:
        stop.touch()
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
        log.close()
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="module")
def secrets(cluster: ClusterForTests) -> ClusterForTests:
    """The Secret that the pods mount, and somebody who may deploy in their namespace and do nothing elsewhere."""
    namespace = next(each for each in rendered(cluster, "production") if each["kind"] == "Namespace")
    cluster.kubectl("apply", "--filename", "-", given=json.dumps(namespace))
    if cluster.run("kubectl", "--namespace", NAMESPACE, "get", "secret", "classify-keys").returncode != 0:
        cluster.kubectl("--namespace", NAMESPACE, "create", "secret", "generic", "classify-keys", f"--from-file=keys.json={cluster.keys}")
    cluster.deployer = cluster.deployer or deployer_of(cluster)
    return cluster


@pytest.fixture(scope="module")
def running(secrets: ClusterForTests) -> ClusterForTests:
    """The good image, rolled out, whatever ran before."""
    said = secrets.deploy("good")
    assert said.returncode == 0, said.stdout + said.stderr
    two_ready(secrets)
    return secrets


def deployer_of(cluster: ClusterForTests) -> Path:
    """Return the configuration of an account that has the rights of deploy/kubernetes/deployer in one namespace, and no others."""
    inside = ("--namespace", NAMESPACE)
    cluster.kubectl(*inside, "create", "serviceaccount", "deployer")
    cluster.kubectl(*inside, "apply", "--filename", str(ROOT / "deploy" / "kubernetes" / "deployer" / "role.yaml"))
    cluster.kubectl(*inside, "create", "rolebinding", "deployer", "--role=deployer", f"--serviceaccount={NAMESPACE}:deployer")
    token = cluster.kubectl(*inside, "create", "token", "deployer", "--duration=1h").strip()
    config = yaml.safe_load((cluster.folder / "kubeconfig").read_text())
    config["users"][0]["user"] = {"token": token}
    path = cluster.folder.parent / "deployer"
    path.write_text(yaml.safe_dump(config))
    return path

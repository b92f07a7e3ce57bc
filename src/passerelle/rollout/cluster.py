"""The cluster that kubectl's context names: what an overlay wants of it, what it holds, and how it is put back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from passerelle.bentos.tool_environment import tool_environment
from passerelle.errors import OutsideError, UsageError, shell_word
from passerelle.rollout.overlay_faults import build_fault, fault_of

NAME = "classify"
ROLLOUT_S = 180
_TIMEOUT_S = 60.0
#: What the cluster writes itself, and what would tie an object to one state of it.
_ITS_OWN = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")

#: An object as Kubernetes writes it.
KubernetesObject = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """The namespace of an overlay in the cluster that kubectl's context names."""

    overlay: Path
    namespace: str
    objects: Sequence[KubernetesObject]

    def kubectl(
        self, *arguments: str, given: str | None = None, timeout_s: float = _TIMEOUT_S, namespaced: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Return what kubectl answers."""
        command = ["kubectl", *(("--namespace", self.namespace) if namespaced else ()), *arguments]
        try:
            return subprocess.run(
                command, env=tool_environment(), input=given, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"kubectl did not end within {timeout_s:.0f} s")

    def run_in_pod(self, pod: str, command: Sequence[str], given: str) -> subprocess.CompletedProcess[str]:
        """Return what a command prints in the first container of a pod.

        Args:
            given: What the command reads from its input.
        """
        return self.kubectl("exec", "--stdin", pod, "--", *command, given=given)

    def deployment(self) -> KubernetesObject | None:
        """Return the deployment as the cluster holds it, or None."""
        done = self.kubectl("get", "deployment", NAME, "--output", "json", "--ignore-not-found", "--show-managed-fields")
        if done.returncode != 0:
            raise OutsideError(f"the cluster does not answer: {last_words(done)}", hint="kubectl cluster-info; kubectl config get-contexts")
        return json.loads(done.stdout) if done.stdout.strip() else None


def find_cluster(project: Path, overlay: str) -> Cluster:
    """Return the cluster and the objects of an overlay.

    Raises:
        OutsideError: kubectl is not installed, or does not end in time.
        UsageError: There is no such overlay, or it is not one.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise OutsideError("kubectl is not installed: it is not on the PATH")
    folder = project.resolve() / "deploy" / "kubernetes" / "overlays" / overlay
    if not folder.is_dir():
        names = ", ".join(sorted(path.name for path in folder.parent.glob("*"))) or "none"
        raise UsageError(f"there is no overlay '{overlay}': {names}", hint="passerelle deploy --target kubernetes --overlay NAME")
    command = [kubectl, "kustomize", str(folder)]
    try:
        done = subprocess.run(command, env=tool_environment(), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        message = f"kustomize did not build the overlay {overlay} within {_TIMEOUT_S:.0f} s: it may name a base on a server"
        raise OutsideError(message, hint=f"kubectl kustomize {shell_word(folder)}") from error
    if done.returncode != 0:
        why = build_fault(folder, done.stderr or done.stdout)
        raise UsageError(f"the overlay {overlay} does not build: {why}", hint=f"kubectl kustomize {shell_word(folder)}")
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    fault = fault_of(folder, objects)
    if fault is not None:
        raise UsageError(f"the overlay {overlay} is not what it is meant to be: {fault}", hint=f"kubectl kustomize {shell_word(folder)}")
    namespaces = {each["metadata"]["name"] if each["kind"] == "Namespace" else each["metadata"].get("namespace", "") for each in objects}
    if len(namespaces) != 1 or not (namespace := namespaces.pop()):
        raise UsageError(
            f"the overlay {overlay} does not name one namespace for all of its objects; `namespace: NAME` in its kustomization.yaml does",
            hint=f"kubectl kustomize {shell_word(folder)}",
        )
    return Cluster(folder, namespace, objects)


def service_deployments(objects: Iterable[KubernetesObject]) -> Iterator[KubernetesObject]:
    """Yield the service's deployment among these objects: one, or none."""
    return (each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == NAME)


def held_before(cluster: Cluster, objects: Sequence[KubernetesObject]) -> list[KubernetesObject]:
    """Return those of the objects, the namespace aside, that the cluster holds, as it holds them.

    Raises:
        OutsideError: It does not say: what cannot be seen could not be put back.
    """
    applied = [each for each in objects if each["kind"] != "Namespace"]
    done = cluster.kubectl(
        "get", "--filename", "-", "--output", "json", "--ignore-not-found", given=yaml.safe_dump_all(applied), namespaced=False
    )
    if done.returncode != 0:
        raise OutsideError(
            f"the cluster does not say what it holds of the overlay {cluster.overlay.name}: {last_words(done)}",
            hint=f"kubectl kustomize {cluster.overlay} | kubectl get --filename -",
        )
    found = json.loads(done.stdout) if done.stdout.strip() else {"items": []}
    return list(found["items"]) if "items" in found else [found]


def undo(cluster: Cluster, objects: Sequence[KubernetesObject], before: Sequence[KubernetesObject]) -> str | None:
    """Put back what the cluster held before and take away what it did not hold; return what went wrong, or None."""
    problems = []
    if before:
        current = _replicas(cluster)
        former = [_as_it_was(each, current) for each in before]
        done = cluster.kubectl("replace", "--filename", "-", given=yaml.safe_dump_all(former), namespaced=False)
        problems += [last_words(done)] if done.returncode != 0 else []
    there = {_key(each) for each in before}
    added = [each for each in objects if each["kind"] != "Namespace" and _key(each) not in there]
    if added:
        how = ("--ignore-not-found", "--wait=false", "--filename", "-")
        done = cluster.kubectl("delete", *how, given=yaml.safe_dump_all(added), namespaced=False)
        problems += [last_words(done)] if done.returncode != 0 else []
    if ("Deployment", NAME) in there and not problems:
        done = cluster.kubectl("rollout", "status", f"deployment/{NAME}", f"--timeout={ROLLOUT_S}s", timeout_s=ROLLOUT_S + 30)
        problems += [last_words(done)] if done.returncode != 0 else []
    return "; ".join(problems) or None


def _key(each: KubernetesObject) -> tuple[str, str]:
    return str(each["kind"]), str(each["metadata"]["name"])


def _replicas(cluster: Cluster) -> int | None:
    done = cluster.kubectl("get", "deployment", NAME, "--ignore-not-found", "--output", "jsonpath={.spec.replicas}")
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else None


def _as_it_was(each: KubernetesObject, replicas: int | None) -> KubernetesObject:
    """Return the object as it is written; how many pods there are stays the autoscaler's to say."""
    metadata = {name: value for name, value in each["metadata"].items() if name not in _ITS_OWN}
    former = {name: value for name, value in each.items() if name != "status"} | {"metadata": metadata}
    if _key(each) == ("Deployment", NAME) and replicas is not None:
        former["spec"] = {**each["spec"], "replicas": replicas}
    return former


def ready_pods(listed: str) -> list[str]:
    """Return the names of the pods in kubectl's JSON that are ready and not ending."""
    return [
        str(pod["metadata"]["name"])
        for pod in json.loads(listed)["items"]
        if "deletionTimestamp" not in pod["metadata"]
        and any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
    ]


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return the end of what kubectl said, on one line."""
    return "; ".join((done.stderr.strip() or done.stdout.strip() or "it ended and printed nothing").splitlines()[-3:])

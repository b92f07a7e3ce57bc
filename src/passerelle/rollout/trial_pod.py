"""One pod of a new image outside of the Service: it answers the golden inputs before any client's request reaches the image."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

from passerelle.errors import OutsideError
from passerelle.rollout.cluster import NAME, Cluster, KubernetesObject, last_words

TRIAL = f"{NAME}-trial"
_READY_S = 120
#: A registry that does not answer once may answer the next time; a name that does not exist never will.
_STUCK_S = 15.0
_POLL_S = 1.0
#: After which the cluster ends a pod that nobody removed.
_LIFETIME_S = 600
_STUCK = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError",
     "RunContainerError"}
)  # fmt: skip


@contextmanager
def trial_pod(cluster: Cluster, objects: Sequence[KubernetesObject]) -> Iterator[str]:
    """Run a pod of the deployment's template, which no Service selects, and give its name once it is ready; it is removed afterwards.

    It does not follow the registry: what the image itself holds is tried.

    Raises:
        OutsideError: The cluster does not take it, or it does not get ready; says why.
    """
    deployment = next(each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == NAME)
    account = next((each for each in objects if each["kind"] == "ServiceAccount"), {})
    pod = _pod(cluster, deployment, account.get("imagePullSecrets", []))
    _remove(cluster)
    try:
        done = cluster.kubectl("apply", "--filename", "-", given=yaml.safe_dump(pod), namespaced=False)
        if done.returncode != 0:
            raise OutsideError(
                f"{cluster.namespace} does not take a pod that tries the image: {last_words(done)}",
                hint=f"kubectl --namespace {cluster.namespace} auth can-i create pods; kubectl --namespace {cluster.namespace} get quota",
            )
        _wait(cluster, min(_READY_S, deployment["spec"].get("progressDeadlineSeconds", _READY_S)))
        yield TRIAL
    finally:
        _remove(cluster)


def _pod(cluster: Cluster, deployment: KubernetesObject, pull_secrets: Sequence[KubernetesObject]) -> KubernetesObject:
    template = copy.deepcopy(deployment["spec"]["template"])
    spec: dict[str, Any] = template["spec"]
    spec["containers"] = [each for each in spec["containers"] if each["name"] == NAME]
    # The account is made by the roll-out; what it is for here are the secrets that images are pulled with.
    for name in ("initContainers", "topologySpreadConstraints", "affinity", "serviceAccountName"):
        spec.pop(name, None)
    spec["imagePullSecrets"] = [*spec.get("imagePullSecrets", []), *pull_secrets]
    (container,) = spec["containers"]
    container["env"] = [entry for entry in container.get("env", ()) if not entry["name"].startswith("PASSERELLE_FOLLOW")]
    for probe in ("livenessProbe", "lifecycle"):
        container.pop(probe, None)
    spec |= {"restartPolicy": "Never", "activeDeadlineSeconds": _LIFETIME_S, "terminationGracePeriodSeconds": 1}
    labels = {**template["metadata"].get("labels", {}), "app.kubernetes.io/name": TRIAL}
    metadata = {"name": TRIAL, "namespace": cluster.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _remove(cluster: Cluster) -> None:
    cluster.kubectl("delete", "pod", TRIAL, "--ignore-not-found", "--wait=true", "--timeout=30s")


def _wait(cluster: Cluster, ready_s: float) -> None:
    """Wait until the pod is ready; raises OutsideError as soon as it is known that it will not be."""
    deadline, stuck_since = time.monotonic() + ready_s, None
    why = "the cluster does not say how it is"
    while time.monotonic() < deadline:
        done = cluster.kubectl("get", "pod", TRIAL, "--output", "json", "--ignore-not-found")
        if done.returncode == 0 and not done.stdout.strip():
            why = "somebody removed it"
            break
        status = json.loads(done.stdout)["status"] if done.returncode == 0 else {}
        if any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ())):
            return
        reason, why = _reason(status)
        if status.get("phase") == "Failed":
            break
        stuck_since = (stuck_since or time.monotonic()) if reason in _STUCK else None
        if stuck_since is not None and time.monotonic() - stuck_since > _STUCK_S:
            break
        time.sleep(_POLL_S)
    log = cluster.kubectl("logs", TRIAL, "--tail", "200").stdout.splitlines()
    lines = "".join(f"\n    {line}" for line in [line for line in log if not line.startswith("{")][-6:])
    raise OutsideError(
        f"a pod of the new image does not get ready, and nothing was changed: {why}{lines}",
        hint=f"kubectl --namespace {cluster.namespace} get events --sort-by=.lastTimestamp",
    )


def _reason(status: dict[str, Any]) -> tuple[str, str]:
    """Return why the pod is not ready, in the cluster's own word and in a sentence."""
    states = [each.get("state", {}) for each in status.get("containerStatuses", ())]
    waiting = [state[kind] for state in states for kind in ("waiting", "terminated") if kind in state]
    conditions = [each for each in status.get("conditions", ()) if each["status"] == "False" and each.get("message")]
    for each in [*waiting, *conditions]:
        reason = str(each.get("reason", ""))
        code = f", exit code {each['exitCode']}" if "exitCode" in each else ""
        return reason, f"{reason}{code}: {each['message']}" if each.get("message") else f"{reason}{code}"
    return "", f"it is {status.get('phase', 'not there')} and answers no readiness probe"

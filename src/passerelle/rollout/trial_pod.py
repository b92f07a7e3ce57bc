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
from passerelle.rollout.cluster import NAME, Cluster, KubernetesObject, last_words, service_deployments
from passerelle.rollout.pod_reasons import MODEL_REFUSED, STUCK, is_ready, log_lines, reason_of, refusal
from passerelle.rollout.rollout_status import STUCK_S

TRIAL = f"{NAME}-trial"
_READY_S = 120
_POLL_S = 1.0
#: After which the cluster ends a pod that nobody removed.
_LIFETIME_S = 600


@contextmanager
def trial_pod(cluster: Cluster, objects: Sequence[KubernetesObject]) -> Iterator[str]:
    """Run a pod of the deployment's template, which no Service selects, and give its name once it is ready; it is removed afterwards.

    It does not follow the registry: what the image itself holds is tried.

    Raises:
        OutsideError: The cluster does not take it, or it does not get ready; says why.
    """
    deployment = next(service_deployments(objects))
    account = next((each for each in objects if each["kind"] == "ServiceAccount"), {})
    pod = _pod(cluster, deployment, account.get("imagePullSecrets", []))
    _remove(cluster)
    try:
        done = cluster.kubectl("apply", "--filename", "-", given=yaml.safe_dump(pod), namespaced=False)
        if done.returncode != 0:
            raise OutsideError(
                f"the namespace {cluster.namespace} takes no pod that tries the image, and nothing was changed: "
                f"{refusal(last_words(done), cluster.namespace)}",
                hint=f"kubectl --namespace {cluster.namespace} get quota,limitrange\n"
                f"kubectl --namespace {cluster.namespace} auth can-i create pods",
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
        pod = json.loads(done.stdout) if done.returncode == 0 else {"metadata": {"name": TRIAL}, "status": {}}
        if is_ready(pod):
            return
        reason, why = reason_of(cluster, pod)
        if pod["status"].get("phase") == "Failed" or reason == MODEL_REFUSED:
            break
        stuck_since = (stuck_since or time.monotonic()) if reason in STUCK else None
        if stuck_since is not None and time.monotonic() - stuck_since > STUCK_S:
            break
        time.sleep(_POLL_S)
    lines = "".join(f"\n    {line}" for line in log_lines(cluster, TRIAL))
    raise OutsideError(
        f"a pod of the new image does not get ready, and nothing was changed: {why}{lines}",
        hint=f"kubectl --namespace {cluster.namespace} get events --sort-by=.lastTimestamp",
    )

"""How a roll-out goes: done, going on, or stuck, which is known long before its deadline."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from passerelle.errors import OutsideError
from passerelle.rollout.cluster import NAME, ROLLOUT_S, Cluster, KubernetesObject, last_words, service_deployments
from passerelle.rollout.pod_reasons import STUCK, is_ready, latest_events, log_lines, newest_first, reason_of, refusal

#: After which the same reason counts as one that stays.
STUCK_S = 15.0
_POLL_S = 1.0
_LABEL = f"app.kubernetes.io/name={NAME}"


@dataclass(frozen=True)
class RolloutStatus:
    """What a cluster says of a roll-out at one moment.

    Attributes:
        done: Whether all pods are of this image, and ready.
        reason: Why not, in the cluster's own word; empty where it says nothing.
        why: The same in a sentence.
        pods: Names of the pods of the image, the newest first.
        ended: Whether the cluster itself has given up.
    """

    done: bool
    reason: str = ""
    why: str = ""
    pods: tuple[str, ...] = ()
    ended: bool = False


def wait_for_rollout(cluster: Cluster, image: str) -> tuple[str, ...]:
    """Wait until every pod of the deployment runs the image and is ready, and return their names.

    Raises:
        OutsideError: The cluster gives up, or the newest pod has waited for the same thing for 15 s; says for what.
    """
    deadline, stuck_since, status = time.monotonic() + ROLLOUT_S, None, RolloutStatus(done=False, why="the cluster does not say how it is")
    while time.monotonic() < deadline:
        listed = cluster.kubectl("get", "deployments,pods", "--selector", _LABEL, "--output", "json")
        status = (
            status_of(cluster, json.loads(listed.stdout)["items"], image)
            if listed.returncode == 0
            else RolloutStatus(False, why=last_words(listed))
        )
        if status.done:
            return status.pods
        stuck_since = (stuck_since or time.monotonic()) if status.reason in STUCK else None
        if status.ended or (stuck_since is not None and time.monotonic() - stuck_since > STUCK_S):
            break
        time.sleep(_POLL_S)
    raise OutsideError(
        f"the new pods of {cluster.namespace}/{NAME} do not get ready; the ones before answer on\n{_details(cluster, status)}",
        hint=f"kubectl --namespace {cluster.namespace} describe pods",
    )


def status_of(cluster: Cluster, listed: Sequence[KubernetesObject], image: str) -> RolloutStatus:
    """Return how the roll-out of an image goes, by the deployment and the pods as the cluster lists them."""
    deployment: KubernetesObject = next(service_deployments(listed), {})
    mine = newest_first(each for each in listed if each["kind"] == "Pod" and each["spec"]["containers"][0]["image"] == image)
    names, status = tuple(str(pod["metadata"]["name"]) for pod in mine), deployment.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    if _complete(deployment):
        ready = tuple(str(pod["metadata"]["name"]) for pod in mine if is_ready(pod))
        return RolloutStatus(done=bool(ready), pods=ready)
    waiting = [pod for pod in mine if not is_ready(pod)]
    reason, why = reason_of(cluster, waiting[0]) if waiting else ("", "there is no new pod yet")
    failed = conditions.get("ReplicaFailure", {})
    if failed.get("status") == "True" and not waiting:
        reason, why = "FailedCreate", str(failed.get("message", ""))
    progress = conditions.get("Progressing", {})
    return RolloutStatus(False, reason, why, names, ended=_observed(deployment) and progress.get("reason") == "ProgressDeadlineExceeded")


def _complete(deployment: KubernetesObject) -> bool:
    replicas, status = deployment.get("spec", {}).get("replicas", 1), deployment.get("status", {})
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return _observed(deployment) and counts == [replicas] * 3


def _observed(deployment: KubernetesObject) -> bool:
    """Return whether the status is about the deployment as it was applied, and not as it was before."""
    return bool(deployment.get("status", {}).get("observedGeneration", -1) >= deployment.get("metadata", {}).get("generation", 0))


def _details(cluster: Cluster, status: RolloutStatus) -> str:
    """Return why the newest pod is not ready, the end of its log, and the latest warnings about it."""
    newest = status.pods[:1]
    done = cluster.kubectl("get", "events", "--output", "json")
    events = json.loads(done.stdout)["items"] if done.returncode == 0 and done.stdout.strip() else []
    lines = [
        refusal(status.why, cluster.namespace),
        *(line for name in newest for line in log_lines(cluster, name)),
        *latest_events(events, newest),
    ]
    return "\n".join(f"    {line}" for line in dict.fromkeys(lines))

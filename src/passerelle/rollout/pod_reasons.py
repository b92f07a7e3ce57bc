"""Why pods do not start: what the newest of them waits for, and what the cluster refuses, each in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from passerelle.rollout.cluster import NAME, Cluster, KubernetesObject

#: The service's own, from its log.
MODEL_REFUSED = "ModelRefused"
#: What a pod rarely leaves by itself: a registry that does not answer once may answer the next time, a name that does not exist never will.
STUCK = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError",
     "RunContainerError", "CrashLoopBackOff", "FailedCreate", MODEL_REFUSED}
)  # fmt: skip
_OWN = re.compile(r'(?:Error from server \(Forbidden\): )?(?:error when \w+ "[^"]*": )?(?:\w+ "[^"]*" is forbidden: )?')
_QUOTA = re.compile(r"exceeded quota: (?P<name>\S+), requested: (?P<request>.*?), used: (?P<used>.*?), limited: (?P<limit>.*)")
_WITHOUT = re.compile(r"failed quota: (?P<name>\S+): must specify (?P<what>.*)")
_RANGE = re.compile(
    r"(?P<side>maximum|minimum) (?P<what>\w+) usage per (?P<kind>\w+) is (?P<limit>[^,\s]+),? but (?P<bound>\w+) is (?P<request>[^,\s\]]+)"
)


def refusal(text: str, namespace: str) -> str:
    """Return in one sentence why the cluster takes no pod: for quotas and limits by name and figure, else what the cluster says."""
    if quota := _QUOTA.search(text):
        request, used, limit = (_amounts(quota[name]) for name in ("request", "used", "limit"))
        parts = [f"{amount} of {what} ({used.get(what, '0')} of {limit.get(what, '?')} in use)" for what, amount in request.items()]
        return f"the quota {quota['name']} of the namespace {namespace} is too small: one pod more needs {', '.join(parts)}"
    if without := _WITHOUT.search(text):
        return f"the quota {without['name']} of the namespace {namespace} asks for {without['what']}, which the overlay does not set"
    if bound := _RANGE.search(text):
        more = "at most" if bound["side"] == "maximum" else "at least"
        return (
            f"a LimitRange of the namespace {namespace} allows {more} {bound['limit']} of {bound['what']} for each {bound['kind'].lower()}"
            f", and the overlay sets a {bound['bound']} of {bound['request']}"
        )
    return _OWN.sub("", text.strip(), count=1)


def _amounts(text: str) -> dict[str, str]:
    """Return amounts by resource, of `limits.memory=384Mi,pods=1`."""
    return dict(part.split("=", 1) for part in text.strip().split(",") if "=" in part)


def newest_first(pods: Iterable[KubernetesObject]) -> list[KubernetesObject]:
    """Return the pods that do not end, the newest first."""
    there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return sorted(there, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]), reverse=True)


def is_ready(pod: KubernetesObject) -> bool:
    """Return whether a pod is ready."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def pod_reason(status: KubernetesObject) -> tuple[str, str]:
    """Return why a pod is not ready, in the cluster's own word and in a sentence."""
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    states = [each.get("state", {}) for each in containers if not each.get("ready")]
    waiting = [state[kind] for state in states for kind in ("waiting", "terminated") if kind in state]
    conditions = [each for each in status.get("conditions", ()) if each["status"] == "False" and each.get("message")]
    for each in [*waiting, *conditions]:
        reason = str(each.get("reason", ""))
        code = f", exit code {each['exitCode']}" if "exitCode" in each else ""
        return reason, f"{reason}{code}: {each['message']}" if each.get("message") else f"{reason}{code}"
    return "", f"it is {status.get('phase', 'not there')} and answers no readiness probe"


def reason_of(cluster: Cluster, pod: KubernetesObject) -> tuple[str, str]:
    """Return why a pod is not ready, as `pod_reason`; of one that runs, also what the service says of its model."""
    reason, why = pod_reason(pod["status"])
    if pod["status"].get("phase") != "Running" or reason in STUCK:
        return reason, why
    refused = [line for line in log_lines(cluster, str(pod["metadata"]["name"])) if line.startswith("the model is refused")]
    return (MODEL_REFUSED, refused[-1]) if refused else (reason, why)


def log_lines(cluster: Cluster, pod: str, *, most: int = 6) -> list[str]:
    """Return the last lines of a pod's log that belong to no request."""
    log = cluster.kubectl("logs", pod, "--container", NAME, "--tail", "500").stdout.splitlines()
    return [line for line in log if not line.startswith("{")][-most:]


def latest_events(events: Sequence[KubernetesObject], names: Sequence[str], *, most: int = 2) -> list[str]:
    """Return the messages of the latest warnings about these objects, the latest first, each once."""
    about = [each for each in events if each.get("type") == "Warning" and each.get("involvedObject", {}).get("name") in names]
    # Which of the times an event has depends on what wrote it.
    latest = sorted(about, key=lambda each: str(_time(each)), reverse=True)
    return list(dict.fromkeys(str(each.get("message", "")) for each in latest))[:most]


def _time(event: KubernetesObject) -> object:
    series = event.get("series") or {}
    return (
        series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    )

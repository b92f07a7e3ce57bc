"""What each replica of a service says of itself: by its address, or from inside of its container where only a proxy is published."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import requests

from passerelle.errors import OutsideError
from passerelle.rollout.cluster import NAME, Cluster, last_words, ready_pods
from passerelle.rollout.secret_files import API_KEY, read_secret
from passerelle.rollout.stack import REPLICAS, Stack

_TIMEOUT_S = 5
_EXEC_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ReplicaReport:
    """What a replica says.

    Attributes:
        metrics: Text of /metrics; None where it does not give it.
        readiness: Content of /readyz; None where it does not give it.
    """

    metrics: str | None
    readiness: Mapping[str, object] | None


@dataclass(frozen=True)
class Replica:
    """One running copy of a service.

    Attributes:
        where: Its address, or the name of its container or pod.
        read: Asks it.
    """

    where: str
    read: Callable[[], ReplicaReport]


SILENT = ReplicaReport(None, None)


def at_addresses(addresses: Sequence[str], api_key: str | None) -> tuple[Replica, ...]:
    """Return the services at these addresses."""
    return tuple(Replica(address, partial(_over_http, address.rstrip("/"), api_key)) for address in addresses)


def of_stack(stack: Stack) -> tuple[Replica, ...]:
    """Return the replicas behind the stack's proxy that run."""
    return tuple(_of_stack(stack))


def _of_stack(stack: Stack) -> Iterator[Replica]:
    key, containers = read_secret(stack.secrets, API_KEY), stack.containers()
    for name in REPLICAS:
        if name in containers and containers[name]["State"]["Running"]:
            yield Replica(name, partial(_inside, partial(run_in_replica, stack, name), key))


def run_in_replica(
    stack: Stack, replica: str, command: Sequence[str], given: str, *, timeout_s: float = _EXEC_TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Return what a command prints in the container of a replica of the stack.

    Args:
        given: What the command reads from its input.
    """
    return stack.compose("--profile", "service", "exec", "-T", replica, *command, given=given, timeout_s=timeout_s)


def of_cluster(cluster: Cluster, api_key: str | None) -> tuple[Replica, ...]:
    """Return the pods of the cluster's deployment that are ready.

    Raises:
        OutsideError: The cluster does not say which there are.
    """
    done = cluster.kubectl("get", "pods", "--selector", f"app.kubernetes.io/name={NAME}", "--output", "json")
    if done.returncode != 0:
        message = f"the pods of {cluster.namespace}/{NAME} cannot be listed: {last_words(done)}"
        raise OutsideError(message, hint="kubectl cluster-info; kubectl config get-contexts")
    return tuple(Replica(pod, partial(_inside, partial(cluster.run_in_pod, pod), api_key)) for pod in ready_pods(done.stdout))


def _over_http(address: str, api_key: str | None) -> ReplicaReport:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        answer = requests.get(f"{address}/metrics", headers=headers, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return ReplicaReport(answer.text, _object(requests.get(f"{address}/readyz", timeout=_TIMEOUT_S).json()))
    except (requests.RequestException, ValueError):
        return SILENT


def _inside(run: Callable[[Sequence[str], str], subprocess.CompletedProcess[str]], api_key: str | None) -> ReplicaReport:
    done = run(("python3", "-I", "-S", "-c", _READ_INSIDE), json.dumps({"key": api_key}))
    if done.returncode != 0:
        return SILENT
    try:
        found = json.loads(done.stdout)
        return ReplicaReport(str(found["metrics"]), _object(json.loads(found["readiness"])))
    except (ValueError, KeyError, TypeError):
        return SILENT


def _object(content: object) -> Mapping[str, object] | None:
    return content if isinstance(content, dict) else None


_READ_INSIDE = """
import http.client, json, os, sys
given = json.load(sys.stdin)
headers = {"Authorization": "Bearer " + given["key"]} if given["key"] else {}
connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("BENTOML_PORT", "3000")), timeout=10)
found = {}
for name, path in (("metrics", "/metrics"), ("readiness", "/readyz")):
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found[name] = answer.read().decode()
    if name == "metrics" and answer.status != 200:
        sys.exit(f"/metrics answers {answer.status}")
print(json.dumps(found))
"""

"""kubectl, the cluster that its context names, and what this user may do there."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from passerelle.bentos.tool_environment import tool_environment
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.errors import OutsideError
from passerelle.rollout.cluster import Cluster, KubernetesObject, find_cluster, last_words

NAME = "cluster"
#: Of those that come with a project, one for each namespace.
_OVERLAYS = ("development", "production")
_TIMEOUT_S = 10.0
#: Beside what the overlay holds: the pod that tries an image, what is asked inside of pods, and why one does not start.
_OF_A_ROLL_OUT = {
    *((verb, "pods") for verb in ("get", "list", "create", "delete")), ("create", "pods/exec"), ("get", "pods/log"), ("get", "secrets")
}  # fmt: skip


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say whether the cluster answers, and which right a deployment there lacks."""
    context = _kubectl("config", "current-context").stdout.strip() if shutil.which("kubectl") else ""
    if not context:
        yield not_used(NAME, "kubectl is not installed, or has no context")
        return
    done = _kubectl("version", "--output", "json")
    server = _server_version(done.stdout) if done.returncode == 0 else None
    if server is None:
        message = f"the cluster of the context {context} does not answer: {last_words(done)}"
        yield Diagnosis(NAME, Health.FAULT, message, hint="kubectl cluster-info; kubectl config get-contexts")
        return
    yield fine(NAME, f"Kubernetes {server} answers by the context {context}")
    if any((_folder(here) / overlay).is_dir() for overlay in _OVERLAYS):
        yield from _rights(here)


def _rights(here: Surroundings) -> Iterator[Diagnosis]:
    """Say which right is missing, unless the user may deploy to one of the overlays' namespaces."""
    clusters = [find_cluster(here.project, overlay) for overlay in _OVERLAYS if (_folder(here) / overlay).is_dir()]
    missing = {cluster.namespace: _missing(cluster) for cluster in clusters}
    namespaces = [namespace for namespace, rights in missing.items() if not rights]
    if not namespaces:
        namespace = min(missing, key=lambda each: len(missing[each]))
        what = f"this user may not {', '.join(missing[namespace])} in the namespace {namespace}"
        yield Diagnosis(NAME, Health.FAULT, what, hint=f"kubectl auth can-i --list --namespace {namespace}")
    elif _may("*", "*", "--all-namespaces"):
        message = f"this user may do everything in the cluster; rights in {' and '.join(namespaces)} are enough"
        yield Diagnosis(NAME, Health.WARNING, message)
    else:
        yield fine(NAME, f"this user may deploy to the namespace {' and to '.join(namespaces)}, and not everything elsewhere")


def _folder(here: Surroundings) -> Path:
    return here.project / "deploy" / "kubernetes" / "overlays"


def _missing(cluster: Cluster) -> list[str]:
    kinds = {resource(each) for each in cluster.objects if each["kind"] != "Namespace"}
    needed = sorted({(verb, kind) for kind in kinds for verb in ("get", "create", "patch")} | _OF_A_ROLL_OUT)
    rules = _rules(cluster.namespace)
    return [f"{verb} {kind.partition('.')[0]}" for verb, kind in needed if not allows(rules, verb, kind)]


def _rules(namespace: str) -> Sequence[Mapping[str, Sequence[str]]]:
    """Return what this user may do in a namespace; one question, where asking for each right would take as long as all other probes."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    done = _kubectl("create", "--validate=false", "--filename", "-", "--output", "json", given=json.dumps(review))
    try:
        rules: Sequence[Mapping[str, Sequence[str]]] = json.loads(done.stdout)["status"]["resourceRules"]
    except (ValueError, KeyError, TypeError) as error:
        message = f"the cluster does not say what this user may do in the namespace {namespace}: {last_words(done)}"
        raise OutsideError(message, hint=f"kubectl auth can-i --list --namespace {namespace}") from error
    return rules


def allows(rules: Sequence[Mapping[str, Sequence[str]]], verb: str, kind: str) -> bool:
    """Return whether the rules allow a verb for all objects of a resource, named as `resource` does."""
    plural, _, group = kind.partition(".")
    return any(
        {verb, "*"} & set(rule["verbs"])
        and {group, "*"} & set(rule.get("apiGroups") or ())
        and {plural, "*", f"*/{plural.partition('/')[2]}"} & set(rule.get("resources") or ())
        and not rule.get("resourceNames")
        for rule in rules
    )


def resource(of: KubernetesObject) -> str:
    """Return the resource of an object with its group, by which rights are given whether the cluster knows the kind or not."""
    kind, group = of["kind"].lower(), of["apiVersion"].rpartition("/")[0]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}es" if kind.endswith("s") else f"{kind}s"
    return f"{plural}.{group}" if group else plural


def _may(verb: str, kind: str, *where: str) -> bool:
    return _kubectl("auth", "can-i", verb, kind, *where).stdout.strip() == "yes"


def _kubectl(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "--request-timeout=5s", *arguments]
    try:
        return subprocess.run(command, env=tool_environment(), input=given, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"kubectl did not end within {_TIMEOUT_S:.0f} s")


def _server_version(content: str) -> str | None:
    try:
        return str(json.loads(content)["serverVersion"]["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return None

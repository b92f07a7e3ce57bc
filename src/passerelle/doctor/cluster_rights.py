"""kubectl, the cluster that its context names, and what this user may do there."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from passerelle.bentos.tool_environment import tool_environment
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.rollout.cluster import find_cluster, last_words

NAME = "cluster"
_OVERLAY = "development"
_TIMEOUT_S = 10.0
#: Beside what the overlay holds, what a roll-out watches.
_WATCHED = {("get", "pods"), ("list", "pods"), ("get", "pods/log")}


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
    if (here.project / "deploy" / "kubernetes" / "overlays" / _OVERLAY).is_dir():
        yield from _rights(here)


def _rights(here: Surroundings) -> Iterator[Diagnosis]:
    cluster = find_cluster(here.project, _OVERLAY)
    kinds = {f"{each['kind'].lower()}s" if each["kind"][-1] != "y" else f"{each['kind'][:-1].lower()}ies" for each in cluster.objects}
    needed = sorted({(verb, kind) for kind in kinds - {"namespaces"} for verb in ("get", "create", "patch")} | _WATCHED)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda each: _may(*each, "--namespace", cluster.namespace), needed))
    missing = [f"{verb} {kind}" for (verb, kind), allowed in zip(needed, answers, strict=True) if not allowed]
    if missing:
        message = f"this user may not {', '.join(missing)} in the namespace {cluster.namespace}"
        yield Diagnosis(NAME, Health.FAULT, message, hint=f"kubectl auth can-i --list --namespace {cluster.namespace}")
    elif _may("*", "*", "--all-namespaces"):
        yield Diagnosis(NAME, Health.WARNING, f"this user may do everything in the cluster; rights in {cluster.namespace} are enough")
    else:
        yield fine(NAME, f"this user may deploy to the namespace {cluster.namespace}, and not everything elsewhere")


def _may(verb: str, kind: str, *where: str) -> bool:
    return _kubectl("auth", "can-i", verb, kind, *where).stdout.strip() == "yes"


def _kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "--request-timeout=5s", *arguments]
    try:
        return subprocess.run(command, env=tool_environment(), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"kubectl did not end within {_TIMEOUT_S:.0f} s")


def _server_version(content: str) -> str | None:
    try:
        return str(json.loads(content)["serverVersion"]["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return None

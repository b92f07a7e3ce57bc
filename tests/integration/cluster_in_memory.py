"""A cluster that keeps the objects that it is given, for what a roll-out asks of one and in which order."""

from __future__ import annotations

import copy
import json
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import yaml

from passerelle.model.golden import Golden
from passerelle.names import BentoTag
from passerelle.rollout import kubernetes
from passerelle.rollout.cluster import Cluster
from passerelle.rollout.release import Release

IMAGE = "registry.example/classify@sha256:" + "0" * 64
RELEASE = Release(BentoTag("classification", "7-aaaa1111"), IMAGE, Golden(({"text": "x"},), ("a",), ("a",), None, 1e-9), "7")
FORBIDDEN = 'Error from server (Forbidden): secrets "classify-keys" is forbidden: User "x" cannot get resource "secrets"'
Said = tuple[int, str, str]
#: A pod of the image, ready.
POD: Final = {
    "kind": "Pod",
    "metadata": {"name": "classify-1"},
    "spec": {"containers": [{"image": IMAGE}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


@dataclass(frozen=True)
class ClusterForTests(Cluster):
    """Keeps the objects that it is given, as a cluster does that accepts everything."""

    held: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    says: dict[str, Said] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    pods: list[dict[str, Any]] = field(default_factory=list)

    def kubectl(
        self,
        *arguments: str,
        given: str | None = None,
        timeout_s: float = 60,  # noqa: ARG002 - the signature is kubectl's in src
        namespaced: bool = True,  # noqa: ARG002
    ) -> subprocess.CompletedProcess[str]:
        self.asked.append(" ".join(arguments[:3]))
        code, out, err = next((said for start, said in self.says.items() if " ".join(arguments).startswith(start)), (0, "", ""))
        if code == 0 and "--dry-run=server" not in arguments:
            out = out or self._done(arguments, [each for each in yaml.safe_load_all(given or "") if each])
        return subprocess.CompletedProcess(arguments, code, out, err)

    def _done(self, arguments: tuple[str, ...], given: list[dict[str, Any]]) -> str:
        keys = [(each["kind"], each["metadata"]["name"]) for each in given]
        if arguments[:2] == ("get", "deployments,pods"):
            return json.dumps({"items": self._rolled_out()})
        if arguments[0] in ("apply", "replace"):
            assert all(key in self.held for key in keys) or arguments[0] == "apply"
            self.held.update(zip(keys, copy.deepcopy(given), strict=True))
        elif arguments[0] == "delete":
            for key in keys:
                self.held.pop(key, None)
        elif arguments[:2] == ("get", "--filename"):
            found = [_as_held(self.held[key]) for key in keys if key in self.held]
            return json.dumps({"kind": "List", "items": found} if len(found) > 1 else found[0]) if found else ""
        elif arguments[:2] == ("get", "deployment"):
            found = [self.held[key] for key in self.held if key[0] == "Deployment"]
            whole = "json" in arguments
            return (json.dumps(_as_held(found[0])) if whole else str(found[0]["spec"].get("replicas", 1))) if found else ""
        elif arguments[:2] == ("get", "namespace"):
            return f"namespace/{arguments[2]}" if ("Namespace", arguments[2]) in self.held else ""
        elif arguments[:2] == ("get", "secret"):
            return "secret/classify-keys"
        return ""

    def _rolled_out(self) -> list[dict[str, Any]]:
        """Return the deployment with the pods that the test has put there; without any, the roll-out has failed."""
        pods, deployment = list(self.pods), copy.deepcopy(self.held["Deployment", "classify"])
        count = deployment["spec"].get("replicas", 1)
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), count if pods else 0)
        given_up = [] if pods else [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
        return [{**deployment, "status": {**counts, "observedGeneration": 3, "conditions": given_up}}, *pods]


def _as_held(each: dict[str, Any]) -> dict[str, Any]:
    metadata = {**each["metadata"], "uid": "1", "resourceVersion": "12", "managedFields": []}
    return {**each, "metadata": metadata, "status": {"observedGeneration": 3}}


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod of the new image answered its golden inputs; tests/integration/test_trial_pod.py tries one."""
    monkeypatch.setattr(kubernetes, "trial_pod", lambda *_: nullcontext("classify-trial"))
    replayed = kubernetes._replayed
    monkeypatch.setattr(kubernetes, "_replayed", lambda *given, **how: None if given[3] == "classify-trial" else replayed(*given, **how))

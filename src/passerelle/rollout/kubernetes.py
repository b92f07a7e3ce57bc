"""Roll an image out on Kubernetes by its digest, hold each new pod to the golden predictions, and undo what fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from passerelle.errors import IntegrityError, NotFoundError, OutsideError, UsageError
from passerelle.names import BentoTag
from passerelle.rollout.release import Release
from passerelle.rollout.smoke import SmokeReport, inside, replay

NAME = "classify"
_TIMEOUT_S = 60.0
_ROLLOUT_S = 180


@dataclass(frozen=True)
class ClusterDeployment:
    """What `deploy` did on the cluster, or would do.

    Attributes:
        where: Namespace and deployment.
        pods: How many new pods answered the golden inputs.
        changed: False when this image was rolled out already.
        replaced: Image that was served before, if one was.
        seconds: From the apply to the last pod that answers.
    """

    where: str
    bento_tag: BentoTag
    image: str
    pods: int
    smoke: SmokeReport | None
    changed: bool
    seconds: float = 0.0
    replaced: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Cluster:
    """The namespace of an overlay in the cluster that kubectl's context names."""

    overlay: Path
    namespace: str
    objects: Sequence[Mapping[str, Any]]

    def kubectl(
        self, *arguments: str, given: str | None = None, timeout_s: float = _TIMEOUT_S, namespaced: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Return what kubectl answers."""
        command = ["kubectl", *(("--namespace", self.namespace) if namespaced else ()), *arguments]
        try:
            return subprocess.run(command, input=given, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"kubectl did not end within {timeout_s:.0f} s")

    def deployment(self) -> dict[str, Any] | None:
        """Return the deployment as the cluster holds it, or None."""
        said = self.kubectl("get", "deployment", NAME, "--output", "json", "--ignore-not-found")
        if said.returncode != 0:
            raise OutsideError(f"the cluster does not answer: {_last(said)}", hint="kubectl cluster-info; kubectl config get-contexts")
        return json.loads(said.stdout) if said.stdout.strip() else None


def find_cluster(project: Path, overlay: str) -> Cluster:
    """Return the cluster and the objects of an overlay.

    Raises:
        OutsideError: kubectl is not installed.
        UsageError: There is no such overlay, or it is not one.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise OutsideError("kubectl is not installed", hint="install kubectl, and point it at a cluster: kubectl cluster-info")
    folder = project.resolve() / "deploy" / "kubernetes" / "overlays" / overlay
    if not folder.is_dir():
        names = ", ".join(sorted(path.name for path in folder.parent.glob("*"))) or "none"
        raise UsageError(f"there is no overlay « {overlay} »: {names}", hint="passerelle deploy --target kubernetes --overlay NAME")
    said = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if said.returncode != 0:
        raise UsageError(f"the overlay {overlay} does not build: {_last(said)}", hint=f"kubectl kustomize {folder}")
    objects = [each for each in yaml.safe_load_all(said.stdout) if each]
    namespaces = [each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"]
    if len(namespaces) != 1:
        raise UsageError(f"the overlay {overlay} names {len(namespaces)} namespaces, not one", hint=f"kubectl kustomize {folder}")
    return Cluster(folder, namespaces[0], objects)


def deploy(
    cluster: Cluster, release: Release, *, api_key: str | None, dry_run: bool = False, progress: Callable[[str], None] = lambda _: None
) -> ClusterDeployment:
    """Roll the image out; the pods of before answer until the new ones do.

    Args:
        release: Its image is named by digest.

    Raises:
        UsageError: The image has no digest.
        NotFoundError: A Secret is missing.
        OutsideError: The cluster refuses, or a new pod does not get ready; the roll-out is undone.
        IntegrityError: A golden prediction differs; the roll-out is undone.
    """
    if "@sha256:" not in release.image:
        hint = "docker push it, then name it: passerelle deploy --target kubernetes --image registry/name@sha256:…"
        raise UsageError(f"the image {release.image} has no digest of a registry; a tag may name another image tomorrow", hint=hint)
    where = f"{cluster.namespace}/{NAME}"
    former = cluster.deployment()
    replaced = _image(former)
    changed = replaced != release.image
    objects = _with_image(cluster.objects, release)
    if dry_run:
        _apply(cluster, objects, "--dry-run=server" if former is not None else "--dry-run=client")
        return ClusterDeployment(where, release.bento_tag, release.image, 0, None, changed, replaced=replaced, dry_run=True)
    _apply(cluster, [each for each in objects if each["kind"] == "Namespace"])
    _check_secrets(cluster)
    progress(f"{where}: {release.bento_tag}")
    began = time.monotonic()
    try:
        _apply(cluster, objects)
        pods, smoke = _rolled_out(cluster, release, api_key)
    except (OutsideError, IntegrityError):
        progress(f"{where}: as it was before")
        _undo(cluster, former)
        raise
    seconds = time.monotonic() - began
    return ClusterDeployment(where, release.bento_tag, release.image, pods, smoke, changed, seconds, replaced if changed else None)


def _image(deployment: Mapping[str, Any] | None) -> str | None:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]) if deployment else None


def _with_image(objects: Sequence[Mapping[str, Any]], release: Release) -> list[dict[str, Any]]:
    """Return the objects with the image in the deployment, and what it holds as annotations."""
    copies: list[dict[str, Any]] = json.loads(json.dumps(objects))
    for each in copies:
        if each["kind"] == "Deployment" and each["metadata"]["name"] == NAME:
            each["metadata"].setdefault("annotations", {})["kubernetes.io/change-cause"] = f"{release.bento_tag} {release.image}"
            template = each["spec"]["template"]
            template["metadata"].setdefault("annotations", {})["passerelle/bento-tag"] = str(release.bento_tag)
            for container in template["spec"]["containers"]:
                if container["name"] == NAME:
                    container["image"] = release.image
    return copies


def _check_secrets(cluster: Cluster) -> None:
    """Return when every Secret is there that the pods mount; a pod without one waits for ever."""
    pods = [each["spec"]["template"]["spec"] for each in cluster.objects if each["kind"] == "Deployment"]
    wanted = {volume["secret"]["secretName"] for spec in pods for volume in spec.get("volumes", ()) if "secret" in volume}
    for name in sorted(wanted):
        if cluster.kubectl("get", "secret", name).returncode != 0:
            hint = (
                f"passerelle keys make NAME; kubectl --namespace {cluster.namespace} create secret generic {name} --from-file=keys.json=…"
            )
            raise NotFoundError(f"the namespace {cluster.namespace} holds no Secret {name}", hint=hint)


def _apply(cluster: Cluster, objects: Sequence[Mapping[str, Any]], *options: str) -> None:
    manager = () if "--dry-run=client" in options else ("--server-side", "--force-conflicts", "--field-manager", "passerelle")
    said = cluster.kubectl("apply", *manager, *options, "--filename", "-", given=yaml.safe_dump_all(objects), namespaced=False)
    if said.returncode != 0:
        raise OutsideError(
            f"the cluster does not take the overlay {cluster.overlay.name}: {_last(said)}", hint=f"kubectl kustomize {cluster.overlay}"
        )


def _rolled_out(cluster: Cluster, release: Release, api_key: str | None) -> tuple[int, SmokeReport]:
    said = cluster.kubectl("rollout", "status", f"deployment/{NAME}", f"--timeout={_ROLLOUT_S}s", timeout_s=_ROLLOUT_S + 30)
    pods = _pods(cluster, release.image)
    if said.returncode != 0 or not pods:
        why = "\n".join(f"    {line}" for line in _reasons(cluster, release.image))
        raise OutsideError(
            f"the new pods of {cluster.namespace}/{NAME} do not get ready; the ones before answer on\n{why or _last(said)}",
            hint=f"kubectl --namespace {cluster.namespace} describe pods",
        )
    for name in pods:

        def run(command: Sequence[str], given: str, name: str = name) -> subprocess.CompletedProcess[str]:
            return cluster.kubectl("exec", "--stdin", name, "--", *command, given=given)

        smoke = replay(inside(run, where=name, api_key=api_key), release.golden, where=name, expected_version=release.model_version)
    return len(pods), smoke


def _pods(cluster: Cluster, image: str, *, ready: bool = True) -> list[str]:
    """Return the names of the pods that run the image and are not ending."""
    said = cluster.kubectl("get", "pods", "--selector", f"app.kubernetes.io/name={NAME}", "--output", "json")
    held = json.loads(said.stdout)["items"] if said.returncode == 0 else []
    return [
        pod["metadata"]["name"]
        for pod in held
        if pod["spec"]["containers"][0]["image"] == image
        and "deletionTimestamp" not in pod["metadata"]
        and (not ready or any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())))
    ]


def _reasons(cluster: Cluster, image: str) -> list[str]:
    """Return the last words of the pods that do not get ready, without their access log, and the latest warnings about pods."""
    said = [cluster.kubectl("logs", name, "--tail", "500") for name in _pods(cluster, image, ready=False)[:2]]
    words = [line for each in said for line in each.stdout.splitlines() if not line.startswith("{")]
    about = ("--field-selector", "type=Warning,involvedObject.kind=Pod")
    events = cluster.kubectl("get", "events", *about, "--output", "jsonpath={range .items[*]}{.message}{'\\n'}{end}")
    return [*words[-6:], *dict.fromkeys(events.stdout.splitlines()[-2:])]


def _undo(cluster: Cluster, former: Mapping[str, Any] | None) -> None:
    if former is None:
        cluster.kubectl("delete", "deployment", NAME, "--wait=false")
        return
    revision = former["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    cluster.kubectl("rollout", "undo", f"deployment/{NAME}", f"--to-revision={revision}")
    cluster.kubectl("rollout", "status", f"deployment/{NAME}", f"--timeout={_ROLLOUT_S}s", timeout_s=_ROLLOUT_S + 30)


def _last(said: subprocess.CompletedProcess[str]) -> str:
    return "; ".join((said.stderr.strip() or said.stdout.strip() or "it ended without a word").splitlines()[-3:])

"""Roll an image out on Kubernetes by its digest, hold each new pod to the golden predictions, and undo what fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import yaml

from passerelle.errors import IntegrityError, OutsideError, UsageError
from passerelle.follow_settings import FollowSettings
from passerelle.names import BentoTag
from passerelle.rollout.cluster import NAME, Cluster, KubernetesObject, held_before, last_words, undo
from passerelle.rollout.declarative_owner import refuse_if_owned
from passerelle.rollout.digest_secret import digest_variables
from passerelle.rollout.following import Following, following_of
from passerelle.rollout.manifests import BENTO_TAG, check_digest, variables_of, with_image, with_variables
from passerelle.rollout.needed_secrets import check_secrets
from passerelle.rollout.release import Release
from passerelle.rollout.rollout_status import wait_for_rollout
from passerelle.rollout.smoke import SmokeReport, inside, replay
from passerelle.rollout.trial_pod import trial_pod


@dataclass(frozen=True)
class ClusterDeployment:
    """What `deploy` did on the cluster, or would do.

    Attributes:
        where: Namespace and deployment.
        pods: How many new pods answered the golden inputs.
        changed: False when this image was rolled out already.
        replaced: Image that was served before, if one was.
        seconds: From the apply to the last pod that answers.
        following: What the pods follow; None for pinned ones.
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
    following: Following | None = None


def deploy(
    cluster: Cluster, release: Release, *, api_key: str | None, dry_run: bool = False, progress: Callable[[str], None] = lambda _: None
) -> ClusterDeployment:
    """Roll the image out; the pods of before answer until the new ones do.

    Args:
        release: Its image is named by digest.

    Raises:
        UsageError: The image has no digest, or the pods ask for an API key and there is none.
        NotFoundError: A Secret is missing.
        OutsideError: The cluster refuses, or a new pod does not get ready; the roll-out is undone.
        IntegrityError: A golden prediction differs; the roll-out is undone.
    """
    _check_key(cluster, api_key)
    check_digest(release)
    where, following = f"{cluster.namespace}/{NAME}", _following(cluster)
    former = _former(cluster, release)
    replaced = _image(former)
    changed = replaced != release.image
    if dry_run:
        _try_to_apply(cluster, release, progress, first=former is None)
        return ClusterDeployment(
            where, release.bento_tag, release.image, 0, None, changed, 0.0, replaced, dry_run=True, following=following
        )
    _make_namespace(cluster)
    check_secrets(cluster)
    cluster = with_variables(cluster, digest_variables(cluster, dry_run=False, progress=progress))
    objects = [each for each in with_image(cluster.objects, release) if each["kind"] != "Namespace"]
    progress(f"{where}: {release.bento_tag}")
    began = time.monotonic()
    # What the cluster does not take is known before anything is tried.
    _apply(cluster, objects, "--dry-run=server")
    if changed:
        _try_image(cluster, objects, release, api_key, progress)
    with _undone_if_it_fails(cluster, objects, progress):
        _apply(cluster, objects)
        pods, smoke = _rolled_out(cluster, release, api_key)
    seconds, replaced = time.monotonic() - began, replaced if changed else None
    return ClusterDeployment(where, release.bento_tag, release.image, pods, smoke, changed, seconds, replaced, following=following)


@contextmanager
def _undone_if_it_fails(cluster: Cluster, objects: Sequence[KubernetesObject], progress: Callable[[str], None]) -> Iterator[None]:
    before = held_before(cluster, objects)
    try:
        yield
    except (OutsideError, IntegrityError) as error:
        problem = undo(cluster, objects, before)
        if problem is not None:
            # The first error decides the exit code.
            message = f"{error.message}\n  and the roll-out is not undone: {problem}"
            raise type(error)(message, hint=f"kubectl --namespace {cluster.namespace} get all") from error
        progress(f"{cluster.namespace}/{NAME}: as it was before")
        raise


def _former(cluster: Cluster, release: Release) -> KubernetesObject | None:
    """Return the deployment as the cluster holds it, or None.

    Raises:
        UsageError: It serves another registered model, whose place the roll-out would take, or something else keeps it.
    """
    former = cluster.deployment()
    annotations = former["spec"]["template"].get("metadata", {}).get("annotations", {}) if former else {}
    served = str(annotations.get(BENTO_TAG, "")).partition(":")[0]
    if served and served != release.bento_tag.name:
        message = (
            f"the namespace {cluster.namespace} serves {served}, and an overlay serves one registered model: "
            f"{release.bento_tag.name} needs an overlay of its own, with a namespace of its own"
        )
        raise UsageError(message, hint=f"passerelle deploy {release.bento_tag} --target kubernetes --overlay NAME")
    refuse_if_owned(cluster, former, release)
    return former


def _image(deployment: KubernetesObject | None) -> str | None:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]) if deployment else None


def _check_key(cluster: Cluster, api_key: str | None) -> None:
    """Check that the golden inputs can be sent to the pods: pods that require a key would refuse them; raises UsageError otherwise."""
    if api_key is None and variables_of(cluster).get("PASSERELLE_AUTH") == "required":
        raise UsageError(
            f"the pods of {cluster.namespace}/{NAME} ask for an API key, and PASSERELLE_API_KEY is not set",
            hint="export PASSERELLE_API_KEY=KEY",
        )


def _following(cluster: Cluster) -> Following | None:
    """Return what the pods follow; a webhook would reach one of them behind their Service, so that they poll."""
    return following_of(FollowSettings.read(variables_of(cluster)), problem="a webhook reaches one of several pods")


def _make_namespace(cluster: Cluster) -> None:
    """Make the namespace where it is missing; one that is there is its owner's, and may not be this user's to change."""
    own = [each for each in cluster.objects if each["kind"] == "Namespace"]
    done = cluster.kubectl("get", "namespace", cluster.namespace, "--ignore-not-found", "--output", "name", namespaced=False)
    # A user with rights in one namespace alone may not ask whether there is one; what follows says so where there is none.
    if own and done.returncode == 0 and not done.stdout.strip():
        _apply(cluster, own)


def _apply(cluster: Cluster, objects: Sequence[KubernetesObject], *options: str) -> None:
    manager = () if "--dry-run=client" in options else ("--server-side", "--force-conflicts", "--field-manager", "passerelle")
    done = cluster.kubectl("apply", *manager, *options, "--filename", "-", given=yaml.safe_dump_all(objects), namespaced=False)
    if done.returncode != 0:
        raise OutsideError(
            f"the cluster does not take the overlay {cluster.overlay.name}: {last_words(done)}", hint=f"kubectl kustomize {cluster.overlay}"
        )


def _try_to_apply(cluster: Cluster, release: Release, progress: Callable[[str], None], *, first: bool) -> None:
    """Let the cluster check the objects, and change nothing; before the first roll-out there may be no namespace to check them in."""
    cluster = with_variables(cluster, digest_variables(cluster, dry_run=True, progress=progress))
    objects = [each for each in with_image(cluster.objects, release) if each["kind"] != "Namespace" or first]
    _apply(cluster, objects, "--dry-run=client" if first else "--dry-run=server")


def _try_image(
    cluster: Cluster, objects: Sequence[KubernetesObject], release: Release, api_key: str | None, progress: Callable[[str], None]
) -> None:
    """Hold a pod of the new image to the golden predictions, before any client's request reaches it."""
    with trial_pod(cluster, objects) as name:
        _replayed(cluster, release, api_key, name, follows=False)
    progress(f"{cluster.namespace}/{NAME}: a pod of the new image answered its golden inputs, and the roll-out begins")


def _replayed(cluster: Cluster, release: Release, api_key: str | None, pod: str, *, follows: bool) -> SmokeReport:
    asker = inside(partial(cluster.run_in_pod, pod), where=pod, api_key=api_key)
    return replay(asker, release.golden, where=pod, expected_version=release.model_version, following=follows)


def _rolled_out(cluster: Cluster, release: Release, api_key: str | None) -> tuple[int, SmokeReport]:
    pods = wait_for_rollout(cluster, release.image)
    follows = bool(variables_of(cluster).get("PASSERELLE_FOLLOW"))
    for name in pods:
        smoke = _replayed(cluster, release, api_key, name, follows=follows)
    return len(pods), smoke

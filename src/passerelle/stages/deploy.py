"""Start what was built: on this machine, in the compose stack, or on a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from passerelle.bentos.engine import pushed_as
from passerelle.bentos.store import registered_model_of
from passerelle.cluster_settings import ClusterSettings
from passerelle.follow_settings import FollowSettings
from passerelle.names import BentoTag
from passerelle.rollout import kubernetes, local, manifests
from passerelle.rollout.cluster import find_cluster
from passerelle.rollout.cluster_objects import with_cluster_settings
from passerelle.rollout.compose import Prepared, StackDeployment
from passerelle.rollout.following import following_of
from passerelle.rollout.kubernetes import ClusterDeployment
from passerelle.rollout.local import Deployment
from passerelle.rollout.manifest_files import Rendered, render
from passerelle.rollout.service_state import chosen_service
from passerelle.rollout.stack import find_stack
from passerelle.stages import webhook_setup
from passerelle.stages.bento_choice import bento_to_serve
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.first_request import first_request
from passerelle.stages.log_columns import column_setting
from passerelle.stages.place import Place, Stopped
from passerelle.stages.production_bento import build_production
from passerelle.stages.promotion_check import check_deployable
from passerelle.stages.stack_deploy import deploy_to_stack, release_of

__all__ = ["Deployed", "Place", "Stopped", "run"]


Deployed = Deployment | Stopped | StackDeployment | Prepared | ClusterDeployment | Rendered
HERE = Place()


@stage
def run(
    context: Context,
    bento_tag: str | None = None,
    place: Place = HERE,
    *,
    project: Path = Path(),
    dry_run: bool = False,
    progress: Progress = silent,
) -> Deployed:
    """Start a bento, wait until it is ready, and hold it to its golden predictions.

    Args:
        bento_tag: `name:version` in the BentoML store; by default that of the version in production; where no registry is named, the one
            built last.
        project: Root of the project, for compose and kubernetes, and where the version in production is to be built first.
        progress: Called with a line for what takes time.

    Raises:
        UsageError: An option is given that belongs to another target, or the model lacks a column that is to be logged.
        NotFoundError: The store holds no such bento, or there is nothing to deploy.
        RefusedError: It is to run in production, and no promotion put the version there.
        IntegrityError: A golden prediction differs; what was served before goes on.
        OutsideError: The service does not get ready; what was served before goes on.
    """
    place.check()
    if place.target == "kubernetes":
        return _to_kubernetes(context, bento_tag, place, project, dry_run=dry_run, progress=progress)
    if place.target == "compose":
        tag = BentoTag.parse(bento_tag) if bento_tag is not None else None
        stack, columns = find_stack(project), place.log_columns
        return deploy_to_stack(context, stack, tag, project, init=place.init, log_columns=columns, dry_run=dry_run, progress=progress)
    return _here(context, bento_tag, place, project, dry_run=dry_run, progress=progress)


def _here(
    context: Context, bento_tag: str | None, place: Place, project: Path, *, dry_run: bool, progress: Progress
) -> Deployment | Stopped:
    state_dir, follow = context.state.state_dir, FollowSettings.read()
    if place.stop:
        running = chosen_service(state_dir, place.registered_model or (BentoTag.parse(bento_tag).name if bento_tag else None))
        if running is not None and not dry_run:
            local.stop(state_dir, running.registered_model)
            webhook_setup.removed(context, follow, running.registered_model)
        return Stopped(running.address if running else None)
    new = None
    if bento_tag is None:
        new = build_production(context, project, place.registered_model, dry_run=dry_run, progress=progress)
    if new is not None and dry_run:
        return Deployment(None, new, None, 0.0, None, changed=True, dry_run=True)
    tag = new or bento_to_serve(context, bento_tag, place.registered_model, progress=progress)
    check_deployable(context, tag)
    variables = {**context.environment, **column_setting(context.store, tag, place.log_columns, target="local")}
    if webhook_setup.wants_webhook(follow) and not dry_run:
        variables["PASSERELLE_FOLLOW_WEBHOOK_SECRET_FILE"] = str(webhook_setup.secret_file(context, follow))
    done = local.deploy(
        tag,
        settings=context.store,
        state_dir=state_dir,
        port=place.port or None,
        environment=variables,
        dry_run=dry_run,
        progress=progress,
    )
    if dry_run or done.address is None:
        return replace(done, following=following_of(follow))
    keys = Path(context.environment.get("PASSERELLE_KEYS_FILE", state_dir / "keys.json"))
    request, name = first_request(context.store, tag, done.address, keys=keys), registered_model_of(context.store, tag)
    return replace(done, following=webhook_setup.here(context, follow, done.address, name), first_request=request)


def _to_kubernetes(
    context: Context, bento_tag: str | None, place: Place, project: Path, *, dry_run: bool, progress: Progress
) -> ClusterDeployment | Rendered:
    overlay = place.overlay or "development"
    cluster = with_cluster_settings(find_cluster(project, overlay), ClusterSettings.read(context.environment))
    cluster = manifests.with_candidate(cluster, context.environment.get("PASSERELLE_FOLLOW_CANDIDATE"))
    cluster = manifests.with_doors(cluster, context.environment.get("PASSERELLE_DOORS"))
    tag = bento_to_serve(context, bento_tag, place.registered_model, progress=progress)
    production = overlay == "production" or manifests.variables_of(cluster).get("PASSERELLE_ENVIRONMENT") == "production"
    check_deployable(context, tag, production=production or not context.development)
    cluster = manifests.with_variables(cluster, column_setting(context.store, tag, place.log_columns, target="kubernetes"))
    release = release_of(context, tag, dry_run=dry_run, progress=progress, image=place.image)
    if place.image is None:
        release = replace(release, image=pushed_as(release.image) or release.image)
    if place.render is not None:
        return render(cluster, release, place.render, dry_run=dry_run)
    key = context.client.api_key
    secret = key.get_secret_value() if key else None
    return kubernetes.deploy(cluster, release, api_key=secret, dry_run=dry_run, progress=progress)

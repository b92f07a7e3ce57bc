"""Answer /classify as long as this process runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from passerelle.bentos.store import registered_model_of
from passerelle.errors import OutsideError, shell_word
from passerelle.names import BentoTag
from passerelle.platform.child import Child
from passerelle.platform.embedded import stopped_by_signal
from passerelle.rollout import local
from passerelle.rollout.local import Deployment
from passerelle.stages.bento_choice import bento_to_serve
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.production_bento import build_production
from passerelle.stages.promotion_check import check_promoted_here


@stage
def run(
    context: Context,
    bento_tag: str | None = None,
    *,
    registered_model: str | None = None,
    port: int | None = None,
    project: Path = Path(),
    on_ready: Callable[[Deployment], None],
    progress: Progress = silent,
) -> None:
    """Serve a bento until SIGINT or SIGTERM.

    Args:
        bento_tag: `name:version` in the BentoML store; by default that of the version in production, else the one built last.
        registered_model: Whose bento that is; by default the only one in the store.
        port: On loopback; None for the one that the model's service had before.
        project: Root of the project, where the version in production is to be built first.
        on_ready: Called once the service answers and reproduced its golden predictions.

    Raises:
        NotFoundError: The store holds no such bento, or none of the version in production.
        RefusedError, IntegrityError: No promotion put it into production, which this is, or a golden prediction differs.
        OutsideError: The service did not get ready, or ended by itself.
    """
    new = build_production(context, project, registered_model, dry_run=False, progress=progress) if bento_tag is None else None
    tag = new or bento_to_serve(context, bento_tag, registered_model, progress=progress)
    check_promoted_here(context, tag)
    state_dir, environment = context.state.state_dir, context.environment
    attached = local.attached(
        tag, settings=context.store, state_dir=state_dir, port=port, environment=environment, started_by="serve", progress=progress
    )
    with stopped_by_signal() as stop, attached as (child, deployment):
        on_ready(deployment)
        while not stop.wait(0.25):
            if not child.alive():
                return _ended(context, tag, child, progress)
    return None


def _ended(context: Context, tag: BentoTag, child: Child, progress: Progress) -> None:
    """Say which service runs in the place of this one; raises OutsideError where none replaced it."""
    name = registered_model_of(context.store, tag)
    now = local.running_service(context.state.state_dir, name)
    if now is None or now.mark.pid == child.pid:
        raise OutsideError(f"{child.name} ended by itself:\n{child.log_tail()}", hint=f"cat {shell_word(child.log_path)}")
    progress(f"{name} is served on {now.address} from now on, by `passerelle {now.started_by}`")

"""Undo what `prune` hid: a run that was deleted by mistake is read again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import NotFoundError
from passerelle.registry.stored_runs import run_states, stored_runs
from passerelle.stages.context import Context, stage
from passerelle.stages.prune import Share, pruner_place


@dataclass(frozen=True)
class BroughtBack:
    """What is read again, or would be.

    Attributes:
        artifacts: Of the run and of the models that it logged.
        restored: Whether MLflow shows the run; one that is deleted there would be hidden again.
    """

    run_id: str
    artifacts: Share
    restored: bool
    dry_run: bool = False


@stage
def run(context: Context, run_id: str, *, target: str = "embedded", project: Path = Path(), dry_run: bool = False) -> BroughtBack:
    """Remove the markers that hide the artifacts of a run and of the models that it logged.

    Args:
        run_id: Of the run; of a logged model, `m-…`.
        target: `compose` for the stack of the project.

    Raises:
        NotFoundError: The bucket holds nothing of it any more.
        OutsideError: MLflow or S3 does not answer, or the key may not.
    """
    here, bucket = pruner_place(context, target, project)
    states = run_states(here.registry)
    identifier = run_id.removeprefix("m-")
    found = [each for each in stored_runs(bucket).values() if identifier in (each.identifier, states.makers.get(each.identifier))]
    if not found:
        raise NotFoundError(f"the bucket holds nothing of the run {run_id}; it may be in a backup", hint="passerelle prune --dry-run")
    share = Share()
    for each in found:
        markers = each.markers()
        hidden = {one.key for one in markers}
        # S3 lists the versions of an object from the newest to the oldest.
        newest = {one.key: one for one in reversed(each.versions) if one.key in hidden and not one.marker}
        share = share.and_of(newest.values())
        if not dry_run:
            bucket.remove_for_good((one.key, one.version_id) for one in markers)
    return BroughtBack(run_id, share, states.runs.get(identifier, ("active", ""))[0] == "active", dry_run)

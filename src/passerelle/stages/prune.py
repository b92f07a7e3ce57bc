"""Free what no version, ledger entry or look needs: artifacts of deleted runs, former versions of objects, unfinished uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from passerelle.errors import UsageError
from passerelle.registry.lock import promotion_locks
from passerelle.registry.object_versions import ObjectVersion, UnfinishedUpload, VersionedObjects
from passerelle.registry.stored_runs import (
    ACTIVE,
    ARTIFACTS,
    DELETED,
    UNKNOWN,
    RunStates,
    StoredRun,
    models_to_lock,
    needed_runs,
    run_states,
    stored_runs,
)
from passerelle.rollout.stack import find_stack
from passerelle.stages.context import Context, Progress, silent, stage

#: Runs that are looked at again and removed while the locks of promotions are held: a promotion waits for no more than these.
_AT_ONCE = 50
#: An upload that still goes on is younger.
_UPLOAD_DAYS = 7


@dataclass(frozen=True)
class PruneOptions:
    """What is freed.

    Attributes:
        days: For which what was hidden, and former versions of objects, are kept.
        unknown: Whether runs are included that MLflow does not know, as after `mlflow gc`.
        without_way_back: Whether objects are removed from a bucket that keeps no former versions.
    """

    days: int = 30
    unknown: bool = False
    without_way_back: bool = False


@dataclass(frozen=True)
class Share:
    """A part of what the bucket holds.

    Attributes:
        runs: Runs and logged models that it is of.
    """

    runs: int = 0
    objects: int = 0
    size_bytes: int = 0

    def and_of(self, versions: Iterable[ObjectVersion], *, runs: int = 1) -> Share:
        """Return the share with these versions besides."""
        sizes = [each.size_bytes for each in versions]
        return Share(self.runs + runs, self.objects + len(sizes), self.size_bytes + sum(sizes)) if sizes else self


@dataclass(frozen=True)
class KeptRun:
    """A run that is deleted in MLflow, or a model of it, which stays because somebody needs it."""

    name: str
    needed_by: str


@dataclass(frozen=True)
class Pruned:
    """What was freed, or would be.

    Attributes:
        hidden: Artifacts of deleted runs that no reader finds any more; their content is kept for `days`.
        freed: Artifacts that were hidden for longer, which are gone for good.
        former: Former versions of objects that are still there, which are gone for good.
        uploads: Parts of uploads that were never completed.
        unknown: Artifacts of runs that MLflow does not know, and which were left alone.
        kept: Deleted runs that somebody needs.
        way_back: Whether the bucket keeps former versions; where it does not, what counts as hidden is gone at once.
    """

    hidden: Share
    freed: Share
    former: Share
    uploads: Share
    unknown: Share
    kept: tuple[KeptRun, ...]
    days: int
    dry_run: bool = False
    way_back: bool = True

    @property
    def changed(self) -> bool:
        """Whether anything was to do."""
        return any(each.objects for each in (self.hidden, self.freed, self.former, self.uploads))


@dataclass(frozen=True)
class _Removal:
    """What is to be done with one run."""

    run: StoredRun
    hide: tuple[ObjectVersion, ...]
    free: tuple[ObjectVersion, ...]


@dataclass(frozen=True)
class _Plan:
    """What is to be done, and what stays although no run of MLflow shows it."""

    removals: list[_Removal]
    former: tuple[ObjectVersion, ...]
    uploads: tuple[UnfinishedUpload, ...]
    unknown: Share
    kept: tuple[KeptRun, ...]


@stage
def run(
    context: Context,
    options: PruneOptions,
    *,
    target: str = "embedded",
    project: Path = Path(),
    dry_run: bool = False,
    progress: Progress = silent,
) -> Pruned:
    """Free storage.

    Artifacts are hidden first, which `bring_back` undoes, and removed for good by a later run. The locks of promotions are held while
    runs are removed, and each is looked at once more under them.

    Args:
        target: `compose` for the stack of the project, with the key that may remove artifacts.

    Raises:
        UsageError: The bucket keeps no former versions, or MLflow knows too little of what the bucket holds.
        BusyError: A promotion is under way; what was freed before stays so.
        OutsideError: MLflow or S3 does not answer, or the key may not.
    """
    here, bucket = pruner_place(context, target, project)
    way_back = _way_back(bucket, options)
    progress("what the bucket holds, and what MLflow says of it")
    plan = _plan(here, bucket, options, way_back=way_back)
    done = plan.removals
    if not dry_run:
        done = _carried_out(here, bucket, plan.removals, options, progress)
        bucket.remove_for_good((each.key, each.version_id) for each in plan.former)
        for upload in plan.uploads:
            bucket.abort(upload)
    hidden = freed = Share()
    for each in done:
        hidden, freed = hidden.and_of(each.hide), freed.and_of(each.free)
    parts = Share(0, len(plan.uploads), sum(each.size_bytes for each in plan.uploads))
    former = Share().and_of(plan.former, runs=0)
    return Pruned(hidden, freed, former, parts, plan.unknown, plan.kept, options.days, dry_run, way_back)


def _way_back(bucket: VersionedObjects, options: PruneOptions) -> bool:
    """Return whether what is removed by its name can be brought back; raises UsageError where it cannot and nobody agreed to that."""
    keeps = bucket.keeps_versions()
    if not keeps and not options.without_way_back:
        message = f"the bucket '{bucket.settings.bucket}' keeps no former versions: what is removed from it is gone at once"
        raise UsageError(message, hint="passerelle prune --without-way-back --dry-run")
    return keeps


def _plan(here: Context, bucket: VersionedObjects, options: PruneOptions, *, way_back: bool) -> _Plan:
    """Return what is to be done. The bucket is listed first: what is written after that is not among what is looked at."""
    stored = stored_runs(bucket)
    states = run_states(here.registry)
    _check_known(stored, states, options)
    needed = needed_runs(here.registry, bucket, states)
    now = bucket.server_time()
    before = now - timedelta(days=options.days)
    removals = [_removal(each, before, way_back=way_back) for each in stored.values() if _removable(each, states, needed, options)]
    former = tuple(version for each in stored.values() for version in _former(each, before))
    uploads = tuple(each for each in bucket.unfinished_uploads(ARTIFACTS) if each.begun < now - timedelta(days=_UPLOAD_DAYS))
    unknown, kept = _left_alone(stored, states, needed, options)
    return _Plan([each for each in removals if each.hide or each.free], former, uploads, unknown, kept)


def pruner_context(context: Context, target: str, project: Path) -> Context:
    """Return the context whose registry is asked, with the S3 user who may remove artifacts."""
    if target != "compose":
        return context
    stack = find_stack(project)
    stack.check()
    return context.at({**stack.mlflow_environment(), **stack.s3_environment("pruner")})


def pruner_place(context: Context, target: str, project: Path) -> tuple[Context, VersionedObjects]:
    """Return the context of `pruner_context`, and the bucket as its user sees it."""
    context = pruner_context(context, target, project)
    return context, VersionedObjects(context.s3)


def _check_known(stored: dict[str, StoredRun], states: RunStates, options: PruneOptions) -> None:
    """Check that MLflow knows most of what the bucket holds: another server, or an empty one, would free all of it."""
    runs = [each for each in stored.values() if not each.model]
    known = sum(states.state(each) != UNKNOWN for each in runs)
    if options.unknown and 2 * known < len(runs):
        raise UsageError(
            f"MLflow knows {known} of the {len(runs)} runs whose artifacts are in the bucket: it is another server's bucket, or the "
            "database was made anew; nothing is removed",
            hint="passerelle prune --dry-run",
        )


def _removable(one: StoredRun, states: RunStates, needed: dict[str, str], options: PruneOptions) -> bool:
    state = states.state(one)
    return one.identifier not in needed and (state == DELETED or (state == UNKNOWN and options.unknown))


def _removal(one: StoredRun, before: datetime, *, way_back: bool) -> _Removal:
    """Return what is to be done with a run that nobody needs: all of it goes for good once it was hidden long enough."""
    hide = tuple(one.visible())
    # By the youngest marker: a run that somebody goes on hiding is kept for the whole time.
    long_hidden = way_back and not hide and all(each.modified < before for each in one.markers())
    return _Removal(one, hide, tuple(one.versions) if long_hidden else ())


def _former(one: StoredRun, before: datetime) -> Iterator[ObjectVersion]:
    """Yield the former versions of objects that are still there, replaced before that time."""
    replaced = {each.key: each.modified for each in one.visible()}
    yield from (each for each in one.versions if not each.current and each.key in replaced and replaced[each.key] < before)


def _carried_out(
    context: Context, bucket: VersionedObjects, removals: Sequence[_Removal], options: PruneOptions, progress: Progress
) -> list[_Removal]:
    """Do what was decided, as far as it still holds under the locks of promotions; return what was done."""
    done: list[_Removal] = []
    for begin in range(0, len(removals), _AT_ONCE):
        some = removals[begin : begin + _AT_ONCE]
        progress(f"{len(done)} of {len(removals)} runs and models")
        models = models_to_lock(context.registry, bucket)
        with promotion_locks(bucket, models, context.author, "freeing storage") as check_locks:
            states = run_states(context.registry)
            needed = needed_runs(context.registry, bucket, states)
            for each in some:
                if _removable(each.run, states, needed, options):
                    check_locks()
                    bucket.hide(version.key for version in each.hide)
                    bucket.remove_for_good((version.key, version.version_id) for version in each.free)
                    done.append(each)
    return done


def _left_alone(
    stored: dict[str, StoredRun], states: RunStates, needed: dict[str, str], options: PruneOptions
) -> tuple[Share, tuple[KeptRun, ...]]:
    """Return what stays although no run of MLflow shows it."""
    unknown, kept = Share(), []
    for each in stored.values():
        state = states.state(each)
        if state == UNKNOWN and not options.unknown and each.identifier not in needed:
            unknown = unknown.and_of(each.visible())
        if state != ACTIVE and each.identifier in needed:
            kept.append(KeptRun(each.name, needed[each.identifier]))
    return unknown, tuple(kept)

"""Train the candidates on some data, unless the same data, code and seed were trained on before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from passerelle.batch.ray_cluster import check_address
from passerelle.criteria import Criteria
from passerelle.criteria_file import read_criteria
from passerelle.names import CANDIDATES, CODE_DIGEST, DATA_DIGEST, FAILED_CANDIDATES, SEED
from passerelle.registry.client import Registry
from passerelle.settings import S3Settings
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.held_out_set import SAME, HeldOutChoice, notes_on_fresh_rows, number_of
from passerelle.stages.project_inputs import notes_on_classes, reference_of
from passerelle.stages.train_on_cluster import fits_at
from passerelle.stages.train_options import TrainingData
from passerelle.stages.training_file import read_file_of, repeating_options
from passerelle.training.candidate import Candidate, FailedCandidate, names_as_tag, read_failures
from passerelle.training.cross_validation import CandidateFits
from passerelle.training.dataset import Dataset
from passerelle.training.heartbeat import Heartbeat
from passerelle.training.plan import PreparedRows, TrainingPlan, plan_of, prepare, row_tags
from passerelle.training.project import TrainingProject, read_training_project
from passerelle.training.provenance import code_digest
from passerelle.training.rare_classes import ALL_CLASSES, RareClasses
from passerelle.training.result import TrainingResult
from passerelle.training.sides import FIRST
from passerelle.training.tracking import check_experiment
from passerelle.training.train import train
from passerelle.training.trial import choose


@dataclass(frozen=True)
class Trained:
    """A training, made now or found.

    Attributes:
        created: False when the same data, code, candidates and seed were trained on before.
        notes: What was assumed about the file, and done to how many rows; told before the candidates are fitted.
        result: None for a training that was found.
        held_out: Rows that no choice sees; 0 for a training that was found.
        candidates: Their names; none for a training that was found.
        failed: Candidates that cannot be saved, or could not be fitted; the others are trained.
        held_out_set: Number of the held-out set.
    """

    parent_run_id: str | None
    experiment: str
    data_digest: str
    rows: int
    classes: int
    notes: tuple[str, ...]
    created: bool
    result: TrainingResult | None = None
    dry_run: bool = False
    held_out: int = 0
    candidates: tuple[str, ...] = ()
    failed: tuple[FailedCandidate, ...] = ()
    held_out_set: int = FIRST


DEMO = TrainingData()


@stage
def run(
    context: Context,
    data: TrainingData = DEMO,
    *,
    project: Path = Path(),
    seed: int = 0,
    again: bool = False,
    candidates: tuple[str, ...] = (),
    address: str | None = None,
    held_out: HeldOutChoice = SAME,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Trained:
    """Return the training of this data, code and seed: the one that was made before, or a new one.

    Args:
        candidates: Names of those that are trained; by default all.
        address: Of the Ray cluster that fits the candidates; None for this process.
        held_out: Which rows no choice may see.
        project: Root of the project, whose folder `training/` defines the candidates.
        seed: Of the folds and of the candidates.
        again: Train even when the same data, code and seed were trained on before.
        progress: Called with a line for each fold and candidate that is done, and every few seconds.

    Raises:
        UsageError: Columns without a file, a file without columns, a folder that is no project, or no candidate that can be trained.
        DataError: The data cannot be trained on.
        OutsideError: MLflow or S3 does not answer.
    """
    if address is not None:
        check_address(address, hint="passerelle train --address auto")
    rare = RareClasses(data.min_class_rows, data.other)
    found = read_training_project(project, context.registered_model)
    how: dict[str, Any] = {"seed": seed, "again": again, "address": address, "held_out": held_out, "dry_run": dry_run, "progress": progress}
    with repeating_options(vars(data)):
        read = read_training_data(found, data, context.s3)
        return train_or_find(context.registry, found, read, names=candidates, rare=rare, **how)


def read_training_data(project: TrainingProject, data: TrainingData, s3: S3Settings) -> Dataset:
    """Return the data that is asked for, or the demo's.

    Args:
        s3: How S3 is reached, where the data lie there.

    Raises:
        UsageError: Columns without a file, or a file without columns.
        DataError: The file cannot be trained on.
    """
    data.check()
    if data.path is None:
        return project.demo_data()
    return read_file_of(data, data.path, s3)


def train_or_find(
    registry: Registry,
    project: TrainingProject,
    data: Dataset,
    *,
    seed: int,
    again: bool,
    dry_run: bool,
    progress: Progress,
    names: tuple[str, ...] = (),
    address: str | None = None,
    rare: RareClasses = ALL_CLASSES,
    held_out: HeldOutChoice = SAME,
) -> Trained:
    """Return the training of this data, code and seed: the one that was made before, or a new one.

    Args:
        names: As `candidates` of `run`.
        address, held_out: As `run`.
        rare: What becomes of rare classes.

    Raises:
        DataError: The data cannot be trained on; the dry run raises it too.
    """
    rows = _prepared(project, data, rare)
    chosen = choose(project.candidates_for(rows.data, seed=seed), names, rows.data, progress=progress)
    tags = {DATA_DIGEST: rows.data.digest, SEED: str(seed), CODE_DIGEST: code_digest(project.folder)}
    number = number_of(registry, held_out)
    tags |= {CANDIDATES: names_as_tag(chosen.candidates), **row_tags(rare, number, rows.left_out)}
    earlier = None if again else registry.find_training(tags)
    found = replace(_found(registry, rows, earlier, dry_run=dry_run), failed=chosen.failed, held_out_set=number)
    if earlier is not None:
        return replace(found, failed=(*found.failed, *read_failures(registry.run(earlier).tags.get(FAILED_CANDIDATES))))
    plan = _plan(registry, project, rows, seed=seed, held_out_set=number, fresh=held_out.refresh, progress=progress)
    found = replace(found, notes=plan.notes, held_out=len(plan.parts.held_out), candidates=tuple(each.name for each in chosen.candidates))
    if dry_run:
        return found
    with registry.environment.calling(artifacts=True), fits_at(address) as fits:
        result = _trained(registry, project, plan, chosen.candidates, seed=seed, progress=progress, fits=fits)
    return replace(found, parent_run_id=result.parent_run_id, result=result, failed=(*found.failed, *result.failed))


def _prepared(project: TrainingProject, data: Dataset, rare: RareClasses) -> PreparedRows:
    """Return the rows without those of the reference that the model's criteria pin, where it has criteria."""
    path = project.root / project.model.criteria
    criteria = read_criteria(path) if path.is_file() else Criteria()
    rows = prepare(data, params=project.params, rare=rare, reference=reference_of(criteria, project.root))
    return replace(rows, notes=(*rows.notes, *notes_on_classes(criteria, rows.data.classes)))


def _found(registry: Registry, rows: PreparedRows, earlier: str | None, *, dry_run: bool) -> Trained:
    return Trained(
        parent_run_id=earlier,
        experiment=registry.settings.experiment,
        data_digest=rows.data.digest,
        rows=len(rows.data.records),
        classes=int(rows.data.labels.nunique()),
        notes=rows.notes,
        created=earlier is None,
        dry_run=dry_run,
    )


def _plan(
    registry: Registry, project: TrainingProject, rows: PreparedRows, *, seed: int, held_out_set: int, fresh: bool, progress: Progress
) -> TrainingPlan:
    """Return how the rows are divided; raises what keeps the training from being made."""
    with registry.environment.calling():
        check_experiment(registry.settings.tracking_uri, registry.settings.experiment)
    with Heartbeat(progress) as heartbeat:
        heartbeat.step("looking for near-duplicates")
        plan = plan_of(rows, params=project.params, seed=seed, held_out_set=held_out_set)
    return replace(plan, notes=(*plan.notes, *notes_on_fresh_rows(registry, plan, held_out_set))) if fresh else plan


def _trained(
    registry: Registry,
    project: TrainingProject,
    plan: TrainingPlan,
    candidates: Sequence[Candidate],
    *,
    seed: int,
    progress: Progress,
    fits: CandidateFits,
) -> TrainingResult:
    for note in plan.notes:
        progress(f"note: {note}")
    return train(
        plan.data,
        tracking_uri=registry.settings.tracking_uri,
        experiment=registry.settings.experiment,
        candidates=candidates,
        seed=seed,
        params=project.params,
        project=project.folder,
        language=project.file.language,
        progress=progress,
        fits=fits,
        plan=plan,
    )

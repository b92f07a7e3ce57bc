"""Train the candidates on some data, unless the same data, code and seed were trained on before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from passerelle.batch.ray_cluster import check_address
from passerelle.errors import UsageError
from passerelle.names import CANDIDATES, CODE_DIGEST, DATA_DIGEST, FAILED_CANDIDATES, SEED
from passerelle.registry.client import Registry
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.train_on_cluster import fits_at
from passerelle.training.candidate import Candidate, FailedCandidate, names_as_tag, read_failures
from passerelle.training.cross_validation import CandidateFits
from passerelle.training.dataset import Dataset, read_data
from passerelle.training.project import TrainingProject, read_training_project
from passerelle.training.provenance import code_digest
from passerelle.training.result import TrainingResult
from passerelle.training.train import train
from passerelle.training.trial import choose


@dataclass(frozen=True)
class TrainingData:
    """Which data to train on.

    Attributes:
        path: CSV or Parquet file; None for the demo's comments, which come with the project.
        text_columns: Columns that hold the texts.
        label_column: Column that holds the class.
        feature_columns: Columns of a table without text.
        drop_missing: Leave rows without text or class out instead of refusing the file.
    """

    path: Path | None = None
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    feature_columns: tuple[str, ...] = ()
    drop_missing: bool = False


@dataclass(frozen=True)
class Trained:
    """A training, made now or found.

    Attributes:
        created: False when the same data, code, candidates and seed were trained on before.
        result: None for a training that was found.
        failed: Candidates that cannot be saved, or could not be fitted; the others are trained.
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
    failed: tuple[FailedCandidate, ...] = ()


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
    dry_run: bool = False,
    progress: Progress = silent,
) -> Trained:
    """Return the training of this data, code and seed: the one that was made before, or a new one.

    Args:
        candidates: Names of those that are trained; by default all.
        address: Of the Ray cluster that fits the candidates; None for this process.
        project: Root of the project, whose folder `training/` defines the candidates.
        seed: Of the splits and of the candidates.
        again: Train even when the same data, code and seed were trained on before.
        progress: Called with a line for each fold and candidate that is done, and every few seconds.

    Raises:
        UsageError: Columns without a file, a file without columns, a folder that is no project, or no candidate that can be trained.
        DataError: The data cannot be trained on.
        OutsideError: MLflow or S3 does not answer.
    """
    if address is not None:
        check_address(address, hint="passerelle train --address auto")
    found = read_training_project(project)
    read = read_training_data(found, data)
    how: dict[str, Any] = {"seed": seed, "again": again, "address": address, "dry_run": dry_run, "progress": progress}
    return train_or_find(context.registry, found, read, names=candidates, **how)


def read_training_data(project: TrainingProject, data: TrainingData) -> Dataset:
    """Return the data that is asked for, or the demo's.

    Raises:
        UsageError: Columns without a file, or a file without columns.
        DataError: The file cannot be trained on.
    """
    columns = data.feature_columns or None
    if data.path is None:
        if data.text_columns or data.label_column or columns:
            raise UsageError(
                "columns are named and no file is", hint="passerelle train --data FILE --text-column COLUMN --label-column COLUMN"
            )
        return project.demo_data()
    if data.label_column is None or not (data.text_columns or columns):
        hint = f"passerelle train --data {data.path} --text-column COLUMN --label-column COLUMN"
        raise UsageError(f"which columns of {data.path} hold the text and the class?", hint=hint)
    return read_data(
        data.path,
        text_column=data.text_columns,
        label_column=data.label_column,
        feature_columns=columns,
        drop_missing=data.drop_missing,
    )


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
) -> Trained:
    """Return the training of this data, code and seed: the one that was made before, or a new one.

    Args:
        names: As `candidates` of `run`.
        address: As `run`.
    """
    chosen = choose(project.candidates_for(data, seed=seed), names, data, progress=progress)
    tags = {DATA_DIGEST: data.digest, SEED: str(seed), CODE_DIGEST: code_digest(project.folder)}
    tags[CANDIDATES] = names_as_tag(chosen.candidates)
    earlier = None if again else registry.find_training(tags)
    found = Trained(
        parent_run_id=earlier,
        experiment=registry.settings.experiment,
        data_digest=data.digest,
        rows=len(data.records),
        classes=int(data.labels.nunique()),
        notes=data.notes,
        created=earlier is None,
        dry_run=dry_run,
        failed=chosen.failed,
    )
    if earlier is not None:
        return replace(found, failed=(*found.failed, *read_failures(registry.run(earlier).tags.get(FAILED_CANDIDATES))))
    if dry_run:
        return found
    with registry.environment.calling(artifacts=True), fits_at(address) as fits:
        result = _trained(registry, project, data, chosen.candidates, seed=seed, progress=progress, fits=fits)
    return replace(found, parent_run_id=result.parent_run_id, result=result, failed=(*found.failed, *result.failed))


def _trained(
    registry: Registry,
    project: TrainingProject,
    data: Dataset,
    candidates: Sequence[Candidate],
    *,
    seed: int,
    progress: Progress,
    fits: CandidateFits,
) -> TrainingResult:
    return train(
        data,
        tracking_uri=registry.settings.tracking_uri,
        experiment=registry.settings.experiment,
        candidates=candidates,
        seed=seed,
        params=project.params,
        project=project.folder,
        language=project.file.language,
        progress=progress,
        fits=fits,
    )

"""Train the candidates on some data, unless the same data, code and seed were trained on before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.batch.ray_cluster import check_address
from passerelle.errors import UsageError
from passerelle.names import CODE_DIGEST, DATA_DIGEST, SEED
from passerelle.registry.client import Registry
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.train_on_cluster import fits_at
from passerelle.training.cross_validation import CandidateFits
from passerelle.training.dataset import Dataset, read_data
from passerelle.training.project import TrainingProject, read_training_project
from passerelle.training.provenance import code_digest
from passerelle.training.train import TrainingResult, train


@dataclass(frozen=True)
class TrainingData:
    """Which data to train on.

    Attributes:
        path: CSV or Parquet file; None for the demo's comments, which come with the project.
        text_column: Column that holds the text.
        label_column: Column that holds the class.
        feature_columns: Columns of a table without text.
        drop_missing: Leave rows without text or class out instead of refusing the file.
    """

    path: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    feature_columns: tuple[str, ...] = ()
    drop_missing: bool = False


@dataclass(frozen=True)
class Trained:
    """A training, made now or found.

    Attributes:
        created: False when the same data, code and seed were trained on before.
        result: None for a training that was found.
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


DEMO = TrainingData()


@stage
def run(
    context: Context,
    data: TrainingData = DEMO,
    *,
    project: Path = Path(),
    seed: int = 0,
    again: bool = False,
    address: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Trained:
    """Return the training of this data, code and seed: the one that was made before, or a new one.

    Args:
        address: Of the Ray cluster that fits the candidates; None for this process.
        project: Root of the project, whose folder `training/` defines the candidates.
        seed: Of the splits and of the candidates.
        again: Train even when the same data, code and seed were trained on before.
        progress: Called with a line for each candidate that is done.

    Raises:
        UsageError: Columns without a file, a file without columns, or a folder that is no project.
        DataError: The data cannot be trained on.
        OutsideError: MLflow or S3 does not answer.
    """
    if address is not None:
        check_address(address, hint="passerelle train --address auto")
    found = read_training_project(project, context.registered_model)
    read = read_training_data(found, data)
    return train_or_find(context.registry, found, read, seed=seed, again=again, address=address, dry_run=dry_run, progress=progress)


def read_training_data(project: TrainingProject, data: TrainingData) -> Dataset:
    """Return the data that is asked for, or the demo's.

    Raises:
        UsageError: Columns without a file, or a file without columns.
        DataError: The file cannot be trained on.
    """
    columns = data.feature_columns or None
    if data.path is None:
        if data.text_column or data.label_column or columns:
            raise UsageError(
                "columns are named and no file is", hint="passerelle train --data FILE --text-column COLUMN --label-column COLUMN"
            )
        return project.demo_data()
    if data.label_column is None or (data.text_column is None and columns is None):
        hint = f"passerelle train --data {data.path} --text-column COLUMN --label-column COLUMN"
        raise UsageError(f"which columns of {data.path} hold the text and the class?", hint=hint)
    return read_data(
        data.path,
        text_column=data.text_column,
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
    address: str | None = None,
) -> Trained:
    """Return the training of this data, code and seed: the one that was made before, or a new one.

    Args:
        address: As `run`.
    """
    tags = {DATA_DIGEST: data.digest, SEED: str(seed), CODE_DIGEST: code_digest(project.folder)}
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
    )
    if earlier is not None or dry_run:
        return found
    with registry.environment.calling(artifacts=True), fits_at(address) as fits:
        result = _trained(registry, project, data, seed=seed, progress=progress, fits=fits)
    return replace(found, parent_run_id=result.parent_run_id, result=result)


def _trained(
    registry: Registry, project: TrainingProject, data: Dataset, *, seed: int, progress: Progress, fits: CandidateFits
) -> TrainingResult:
    return train(
        data,
        tracking_uri=registry.settings.tracking_uri,
        experiment=registry.settings.experiment,
        candidates=project.candidates_for(data, seed=seed),
        seed=seed,
        params=project.params,
        project=project.folder,
        language=project.file.language,
        progress=progress,
        fits=fits,
    )

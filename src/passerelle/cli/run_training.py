"""Training from the command line: which data, and whether it was trained on before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerelle.cli.connect import open_registry, surroundings
from passerelle.cli.output import Output
from passerelle.errors import UsageError
from passerelle.names import CODE_DIGEST, DATA_DIGEST, SEED
from passerelle.registry.client import Registry
from passerelle.training.dataset import Dataset, read_data
from passerelle.training.project import TrainingProject, read_training_project
from passerelle.training.provenance import code_digest
from passerelle.training.train import TrainingResult
from passerelle.training.train import train as train_stage


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


def chosen_data(project: TrainingProject, options: dict[str, Any]) -> Dataset:
    """Return the data that the options name, or the demo's.

    Raises:
        UsageError: Columns without a file, or a file without columns.
    """
    path: Path | None = options["data"]
    columns = tuple(options["feature_columns"]) or None
    if path is None:
        if options["text_column"] or options["label_column"] or columns:
            raise UsageError("columns are named and no file is", hint="passerelle train --data FILE --text-column … --label-column …")
        return project.demo_data()
    if options["label_column"] is None or (options["text_column"] is None and columns is None):
        hint = f"passerelle train --data {path} --text-column … --label-column …"
        raise UsageError(f"which columns of {path} hold the text and the class?", hint=hint)
    return read_data(
        path,
        text_column=options["text_column"],
        label_column=options["label_column"],
        feature_columns=columns,
        drop_missing=options["drop_missing"],
    )


def train_or_find(
    registry: Registry, project: TrainingProject, data: Dataset, output: Output, *, seed: int, again: bool, dry_run: bool
) -> Trained:
    """Return the training of this data, code and seed: the one that was made before, or a new one."""
    tags = {DATA_DIGEST: data.digest, SEED: str(seed), CODE_DIGEST: code_digest(project.folder)}
    settings = registry.settings
    found = None if again else registry.find_training(tags)
    classes = int(data.labels.nunique())
    shared: dict[str, Any] = {"experiment": settings.experiment, "data_digest": data.digest, "rows": len(data.records)}
    shared |= {"classes": classes, "notes": data.notes}
    if found is not None or dry_run:
        return Trained(parent_run_id=found, created=found is None, dry_run=dry_run, **shared)
    result = train_stage(
        data,
        tracking_uri=settings.tracking_uri,
        experiment=settings.experiment,
        candidates=project.candidates_for(data, seed=seed),
        seed=seed,
        params=project.params,
        project=project.folder,
        language=project.file.language,
        progress=output.progress,
    )
    return Trained(parent_run_id=result.parent_run_id, created=True, result=result, **shared)


def run(output: Output, **options: Any) -> Trained:
    """Train as the options say."""
    project = read_training_project(Path.cwd())
    data = chosen_data(project, options)
    registry = open_registry(surroundings(experiment=options["experiment"]))
    return train_or_find(registry, project, data, output, seed=options["seed"], again=options["again"], dry_run=options["dry_run"])


def show(output: Output, trained: Trained) -> None:
    """Print what was trained."""
    for note in trained.notes:
        output.line(f"note: {note}")
    what = f"{trained.rows} records in {trained.classes} classes"
    if trained.dry_run:
        output.line(
            f"would train on {what}" if trained.created else f"would change nothing: trained on before, run {trained.parent_run_id}"
        )
    elif not trained.created:
        output.line(f"already done: the same data, code and seed, run {trained.parent_run_id} (--again trains all the same)")
    elif trained.result is not None:
        rows = [
            (each.name, *(f"{each.metrics[name]:.3f}" for name in ("cv_macro_f1", "cv_accuracy", "test_macro_f1", "test_accuracy")))
            for each in sorted(trained.result.candidates, key=lambda each: -each.metrics["cv_macro_f1"])
        ]
        columns = ("candidate", "macro-F1", "accuracy", "held-out macro-F1", "held-out accuracy")
        output.table(columns, rows, right=columns[1:])
        output.line(f"{len(rows)} candidates on {what} in {trained.result.seconds:.0f} s; run {trained.parent_run_id}")
    output.result(trained)

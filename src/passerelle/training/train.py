"""Train: fit the candidates, measure each, and log each as an MLflow run under one parent."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import mlflow
import numpy as np
from sklearn.pipeline import Pipeline

from passerelle.gate.latency import latency
from passerelle.model.origin import of_run
from passerelle.names import (
    CANDIDATE,
    CANDIDATES,
    CODE_DIGEST,
    DATA_DIGEST,
    DATA_EXPORT,
    DATA_EXPORT_FILE,
    DATA_SOURCE,
    FAILED_CANDIDATES,
    GIT_COMMIT,
    GIT_DIRTY,
    GOLDEN,
    HELD_OUT,
    KIND,
    LANGUAGE,
    PER_CLASS,
    PREFIX,
    SEED,
    TASK,
    TRAIN_HASHES,
)
from passerelle.training import evaluate, plots, tracking
from passerelle.training.candidate import Candidate, FailedCandidate, FitFailure, failed, failures_as_json, names_as_tag
from passerelle.training.cross_validation import CandidateFits, FitsHere, LabelledRecords, Outcome, outcomes_out_of_fold
from passerelle.training.dataset import Dataset
from passerelle.training.evaluate import Predictions
from passerelle.training.features import Fitted
from passerelle.training.golden_records import golden_predictions, golden_records
from passerelle.training.groups import row_hashes
from passerelle.training.heartbeat import FitSteps, Heartbeat
from passerelle.training.model_writer import UnsavableError
from passerelle.training.params import Params
from passerelle.training.plan import TrainingPlan, plan_of, prepare
from passerelle.training.provenance import code_digest, git_state
from passerelle.training.reference_rows import LeftOut
from passerelle.training.result import CandidateResult, TrainingResult
from passerelle.training.split import Split
from passerelle.training.trial import none_left


@dataclass(frozen=True)
class _Measured:
    """A candidate, fitted on the training part, with all that its run holds."""

    pipeline: Pipeline
    metrics: dict[str, float]
    files: dict[str, object]


@dataclass(frozen=True)
class _Training:
    """What all candidates of a training share; `digests` are parameters, of what the training's own run stored of the data."""

    data: Dataset
    parts: Split
    params: Params
    seed: int
    tags: Mapping[str, str]
    experiment_id: str
    row_tags: Mapping[str, str]
    left_out: LeftOut | None
    digests: Mapping[str, str] = field(default_factory=dict)

    def logged_params(self) -> dict[str, object]:
        """Return what the runs say of the data."""
        return {
            "data.source": self.data.source,
            "data.kind": self.data.kind,
            "data.rows": len(self.data.records),
            "data.classes": len(self.data.classes),
            "data.groups": int(np.unique(self.parts.groups).size),
            "data.held_out_rows": len(self.parts.held_out),
            "seed": self.seed,
            **{f"data.{tag.removeprefix(PREFIX)}": value for tag, value in self.row_tags.items()},
        }


def train(
    data: Dataset,
    *,
    tracking_uri: str,
    experiment: str,
    candidates: Sequence[Candidate],
    seed: int = 0,
    params: Params | None = None,
    project: Path | None = None,
    language: str = "fr",
    progress: Callable[[str], None] = lambda _: None,
    fits: CandidateFits | None = None,
    plan: TrainingPlan | None = None,
) -> TrainingResult:
    """Return the runs of a training; the same data and seed give the same metrics, but for times.

    Args:
        tracking_uri: MLflow server; its artifact store is reached with the keys in the environment.
        experiment: Experiment of the runs; made when it is not there.
        seed: Seed of the splits and of the candidates.
        params: How to split and to measure.
        project: Folder of the code that defined the candidates; the runs are tagged with its git commit and its digest.
        language: Of the texts; the runs are tagged with it.
        progress: Called with a line for each fold and each candidate that is done, and every few seconds in between.
        fits: Where the candidates are fitted; by default in this process.
        plan: Of this training, where it was made already.

    Raises:
        DataError, UsageError: A class has too few records; no candidate can be fitted.
        OutsideError: MLflow or its artifact store does not answer.
    """
    start, params = time.perf_counter(), params or Params()
    with Heartbeat(progress) as heartbeat:
        plan = _plan(plan, data, params, seed, heartbeat)
        tags = {**_tags(data, seed, project, language), **plan.tags}
        with _parent_run({**tags, CANDIDATES: names_as_tag(candidates)}, tracking_uri, experiment) as (experiment_id, parent_run_id):
            training = _Training(data, plan.parts, params, seed, tags, experiment_id, plan.tags, plan.left_out)
            training = replace(training, digests=_log_parent(training))
            trained, failures = _train_all(candidates, training, heartbeat, fits or FitsHere())
    return TrainingResult(parent_run_id, experiment, data.digest, trained, time.perf_counter() - start, failures)


def _plan(plan: TrainingPlan | None, data: Dataset, params: Params, seed: int, heartbeat: Heartbeat) -> TrainingPlan:
    heartbeat.step("looking for near-duplicates")
    plan = plan or plan_of(prepare(data, params=params), params=params, seed=seed)
    heartbeat.say(f"{len(data.records)} records in {len(data.classes)} classes, {len(plan.parts.held_out)} of them held out")
    return plan


@contextlib.contextmanager
def _parent_run(tags: Mapping[str, str], tracking_uri: str, experiment: str) -> Iterator[tuple[str, str]]:
    """Give the id of the experiment and of the training's own run."""
    with (
        tracking.tracked(tracking_uri, experiment) as experiment_id,
        tracking.run("training", {**tags, KIND: "training"}, experiment_id=experiment_id) as run_id,
    ):
        yield experiment_id, run_id


def _train_all(
    candidates: Sequence[Candidate], training: _Training, heartbeat: Heartbeat, fits: CandidateFits
) -> tuple[tuple[CandidateResult, ...], tuple[FailedCandidate, ...]]:
    """Return the candidates that were trained, and those that could not be fitted, which the training's run names."""
    outcomes = tuple(_train_each(candidates, training, heartbeat, fits))
    trained = tuple(each for each in outcomes if isinstance(each, CandidateResult))
    failures = tuple(each for each in outcomes if isinstance(each, FailedCandidate))
    if not trained:
        raise none_left(failures)
    if failures:
        mlflow.set_tag(FAILED_CANDIDATES, failures_as_json(failures))
    return trained, failures


def _train_each(
    candidates: Sequence[Candidate], training: _Training, heartbeat: Heartbeat, fits: CandidateFits
) -> Iterator[CandidateResult | FailedCandidate]:
    data, parts = training.data, training.parts
    records, labels = data.records.iloc[parts.train], data.labels.iloc[parts.train].to_numpy(dtype=str)
    steps = FitSteps(heartbeat, [candidate.name for candidate in candidates], folds=len(parts.folds))
    pipelines = [candidate.pipeline for candidate in candidates]
    outcomes = outcomes_out_of_fold(pipelines, records, labels, parts.folds, before=steps.before, fits=fits)
    steps.crossed()
    good = [(candidate, outcome) for candidate, outcome in zip(candidates, outcomes, strict=True) if not isinstance(outcome, FitFailure)]
    steps.names = [candidate.name for candidate, _ in good]
    held_out = data.records.iloc[parts.held_out]
    fitted = fits.of_all([candidate.pipeline for candidate, _ in good], LabelledRecords(records, labels), held_out, steps.before)
    for number, (candidate, outcome) in enumerate(zip(candidates, outcomes, strict=True), start=1):
        result = _train_one(candidate, training, outcome, fitted, heartbeat)
        if isinstance(result, FailedCandidate):
            heartbeat.say(f"{number}/{len(candidates)} {candidate.name} {result.reason}")
        else:
            figure = result.metrics["cv_macro_f1"]
            heartbeat.say(f"{number}/{len(candidates)} {candidate.name}: macro-F1 {figure:.3f} by cross-validation")
        yield result


def _tags(data: Dataset, seed: int, project: Path | None, language: str) -> dict[str, str]:
    git = git_state(project)
    task = {"text": "text-classification", "tabular": "tabular-classification"}[data.kind]
    tags = {
        DATA_DIGEST: data.digest,
        DATA_SOURCE: data.source,
        GIT_COMMIT: git.commit,
        CODE_DIGEST: code_digest(project),
        GIT_DIRTY: {True: "true", False: "false", None: "unknown"}[git.dirty],
        SEED: str(seed),
        TASK: task,
    }
    if data.export is not None:
        tags[DATA_EXPORT] = data.export.ids_digest
    return {**tags, LANGUAGE: language} if data.kind == "text" else tags


def _log_parent(training: _Training) -> dict[str, str]:
    """Log the data: what was held out, word for word, and the hashes of what was learned from; return their digests."""
    data, parts = training.data, training.parts
    held_out = data.records.iloc[parts.held_out].assign(label=data.labels, group=parts.groups[parts.held_out])
    mlflow.log_params({**training.logged_params(), **training.params.as_logged()})
    tracking.log_dataset(data, data.records, data.labels, context="training")
    labels, of_reference = data.labels.iloc[parts.train].tolist(), training.left_out and asdict(training.left_out)
    hashes = {"rows": row_hashes(data.records.iloc[parts.train]), "labels": labels, "reference": of_reference}
    files = {HELD_OUT: held_out, TRAIN_HASHES: hashes}
    origin = {DATA_EXPORT_FILE: None if data.export is None else asdict(data.export)}
    return tracking.log_files({**files, **origin}, digests_of=files)


@contextlib.contextmanager
def _run_of(candidate: Candidate, training: _Training) -> Iterator[str]:
    """Give the id of the candidate's run, which holds its data and settings; parameters cannot be changed later, as tags can."""
    data = training.data
    tags = {**training.tags, KIND: "candidate", CANDIDATE: candidate.name}
    tags["mlflow.note.content"] = candidate.description
    with tracking.run(candidate.name, tags, experiment_id=training.experiment_id, nested=True) as run_id:
        records, labels = data.records.iloc[training.parts.train], data.labels.iloc[training.parts.train]
        mlflow.log_params({**training.logged_params(), **training.digests, **of_run(tags), **tracking.pipeline_params(candidate.pipeline)})
        tracking.log_dataset(data, records, labels, context="training")
        yield run_id


class _FitError(Exception):
    """Ends the run of a candidate that could not be fitted, with what its pipeline raised."""

    def __init__(self, failure: FitFailure) -> None:
        super().__init__(failure)
        self.failure = failure


def _train_one(
    candidate: Candidate, training: _Training, outcome: Outcome, fitted: Iterator[Fitted | FitFailure], heartbeat: Heartbeat
) -> CandidateResult | FailedCandidate:
    """Return the finished run of a candidate, or why it has a failed one."""
    try:
        return _run_one(candidate, training, outcome, fitted, heartbeat)
    except _FitError as error:
        return failed(candidate, error.failure)


def _run_one(
    candidate: Candidate, training: _Training, outcome: Outcome, fitted: Iterator[Fitted | FitFailure], heartbeat: Heartbeat
) -> CandidateResult:
    with _run_of(candidate, training) as run_id:
        # Within its run, so that a candidate that cannot be fitted has one that says so.
        if isinstance(outcome, FitFailure):
            raise _FitError(outcome)
        found = next(fitted)
        if isinstance(found, FitFailure):
            raise _FitError(found)
        heartbeat.step(f"measuring and saving {candidate.name}")
        measured = _measure(candidate, training, outcome, found)
        tracking.log_files(measured.files, digests_of=(GOLDEN,))
        plots_logged = [name for name, content in measured.files.items() if name.endswith(".png") and content is not None]
        tracking.describe_run(run_id, candidate.description, plots_logged, experiment_id=training.experiment_id)
        records = training.data.records.iloc[training.parts.train]
        try:
            types, optional = candidate.trusted_types, training.data.optional_texts
            size = float(tracking.log_model(measured.pipeline, records, trusted_types=types, optional_texts=optional))
        except UnsavableError as error:
            raise _FitError(FitFailure(str(error))) from error
        metrics = {**measured.metrics, "size_bytes": size}
        # After the model: MLflow then counts them as its metrics too, in one request instead of one a metric.
        tracking.log_figures(metrics)
    return CandidateResult(candidate.name, run_id, metrics)


def _measure(candidate: Candidate, training: _Training, predictions: Predictions, fitted: Fitted) -> _Measured:
    """Return the figures of a candidate that was refitted on all of the training part, and scored the held-out test set once."""
    data, parts, params = training.data, training.parts, training.params
    records, labels = data.records.iloc[parts.train], data.labels.iloc[parts.train]
    truth, held_out_truth = labels.to_numpy(dtype=str), data.labels.iloc[parts.held_out].to_numpy(dtype=str)
    cost = latency(fitted.pipeline, records.head(params.latency_records))
    metrics = {
        **evaluate.figures(truth, predictions, prefix="cv", bins=params.calibration_bins),
        **evaluate.figures(held_out_truth, fitted.predictions, prefix="test", bins=params.calibration_bins),
        "latency_p50_ms": cost.p50_ms,
        "latency_p95_ms": cost.p95_ms,
        "fit_seconds": fitted.fit_seconds,
    }
    golden = golden_records(records, labels, kind=data.kind, number=params.golden_records, pipeline=fitted.pipeline)
    title = f"{candidate.name}, cross-validated on {len(records)} records"
    files = {
        PER_CLASS: evaluate.per_class(predictions.classes, data.labels.to_numpy(dtype=str), metrics),
        GOLDEN: golden_predictions(fitted.pipeline, golden),
        "confusion_matrix.png": plots.confusion(truth, predictions, title=title),
        "reliability.png": plots.reliability(truth, predictions, title=title, bins=params.calibration_bins),
    }
    return _Measured(fitted.pipeline, metrics, files)

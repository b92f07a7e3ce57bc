"""Compare what the service answered up to a day with the month before and with the training, and tell people, Prometheus and MLflow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from passerelle.criteria_file import read_criteria
from passerelle.errors import NotFoundError, OutsideError, shell_word
from passerelle.monitoring.drift import drift_page
from passerelle.monitoring.drift.day_counts import DayCounts
from passerelle.monitoring.drift.drift_result import DriftResult, SharedAnswers
from passerelle.monitoring.drift.drift_text import reasons
from passerelle.monitoring.drift.gauges import figures_of, prometheus_text
from passerelle.monitoring.drift.last_result import MONITORING, LastDrift, write_last
from passerelle.monitoring.drift.signals import HISTORY, drift_result
from passerelle.monitoring.live_comparison import wilson
from passerelle.monitoring.prediction_log.log_place import LogFolder, LogPlace
from passerelle.names import ModelVersionRef
from passerelle.registry.log_bucket import LogBucket
from passerelle.stages import monitor
from passerelle.stages.context import CRITERIA, Context, Progress, silent, stage
from passerelle.stages.drift_days import LogReading, day_counts
from passerelle.stages.drift_options import DriftOptions
from passerelle.stages.drift_training import training_rows
from passerelle.stages.log_location import log_location

_LEAST_ERROR = 400


@stage
def run(context: Context, options: DriftOptions, *, criteria: Path = CRITERIA, progress: Progress = silent) -> DriftResult:
    """Return what the answers up to a day show, after writing it where the options say, into the state folder and to MLflow.

    Where no MLflow server is named, the training is not known, and no run gets the figures.

    Args:
        progress: Told what is left out, and where the figures went.

    Raises:
        UsageError: As `DriftOptions.check`, or the criteria are wrong.
        OutsideError: The log cannot be read, or MLflow does not answer.
        IntegrityError: The held-out rows of the version are not those that it was registered with.
    """
    options.check()
    rules, name = read_criteria(criteria), options.registered_model or context.registered_model
    days = day_counts(LogReading(_place(context, options), name, rules.drift.sample_size), options.last_day, HISTORY)
    folder = context.state.state_dir / MONITORING
    ref = _version(context, name, days, progress)
    training = training_rows(context.registry, ref, folder, context.signing) if ref is not None else None
    result = replace(drift_result(name, days, training, rules), refused=_refused(context, name))
    write_last(folder, LastDrift(name, result.day.isoformat(), result.state, reasons(result, "en")))
    if options.report is not None:
        _write(options.report, drift_page.html(result, language=options.language or context.state.language))
    if options.textfile is not None:
        _write(options.textfile, prometheus_text(result))
    if ref is not None and result.answers:
        run_id = context.registry.log_day(ref, figures_of(result), day=result.day)
        progress(f"the figures of {result.day} are metrics of the run {run_id}")
    return result


def _place(context: Context, options: DriftOptions) -> LogPlace:
    if options.log is None:
        return log_location(context).place
    if not options.log.startswith("s3://"):
        return LogFolder(Path(options.log))
    bucket, _, prefix = options.log.removeprefix("s3://").partition("/")
    return LogBucket(context.s3.model_copy(update={"bucket": bucket}), prefix)


def _version(context: Context, name: str, days: Sequence[DayCounts], progress: Progress) -> ModelVersionRef | None:
    """Return the version that gave most of the last answers; None where there is none, or no registry to know it by."""
    if context.server is None:
        progress("no MLflow server is named: the training is not known, and no run gets the figures")
        return None
    answered: Mapping[str, int] = next((day.versions for day in reversed(days) if day.versions), {})
    version = max(answered, key=lambda each: answered[each], default="")
    if not version.isdecimal():
        return None
    try:
        return context.registry.model_version(name, int(version)).ref
    except NotFoundError:
        progress(f"version {version} of '{name}' is not in the registry any more: its training is not known")
        return None


def _refused(context: Context, registered_model: str) -> SharedAnswers | None:
    """Return how many requests the model's service that runs here refused; None where none does."""
    try:
        figures = monitor.run(context, registered_model=registered_model)
    except (NotFoundError, OutsideError):
        return None
    refused = sum(count for status, count in figures.requests.items() if int(status) >= _LEAST_ERROR)
    return SharedAnswers(**asdict(wilson(refused, sum(figures.requests.values()))))


def _write(path: Path, text: str) -> None:
    """Write a file in one step: Prometheus may read it at any moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutsideError(f"{path} was not written: {error.strerror}", hint=f"ls -ld {shell_word(path.parent)}") from error

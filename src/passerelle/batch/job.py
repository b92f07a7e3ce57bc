"""A whole table: planned, refused where it cannot be scored, gone on with where it was interrupted, and described when it is complete."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from passerelle.batch.processes import ScoringRecipe, SplitCount, SplitTask, write_splits
from passerelle.batch.ray_tasks import write_splits_on_cluster
from passerelle.batch.scored_file import refused_numbers_of, scored_numbers_of
from passerelle.batch.table_file import OutputFolder, is_on_disk
from passerelle.batch.table_plan import TablePlan
from passerelle.errors import DataError, OutsideError, UsageError, shell_word

#: Written first: what is scored, and by what.
JOB_FILE = "score-job.json"
#: Written last: that all of it is scored.
SUMMARY_FILE = "score-summary.json"
#: Of one busy core with its share of memory and power supply, for the estimate of energy.
WATTS_A_CORE = 10.0
#: Of what decides about the output, and of how tables are cut: files of other splits are no part of a run that goes on.
_SCHEMA = 4
_SECONDS_BETWEEN = 5.0


@dataclass(frozen=True)
class ScoreJob:
    """What is to be scored.

    Attributes:
        plans: The files of the input, in the order of their names.
        model: Registered model, version, run and artifact digest.
        rules: What else decides about the output: columns that name rows, review threshold, longest text.
        output_format: csv, jsonl or parquet.
    """

    plans: tuple[TablePlan, ...]
    model: dict[str, str]
    rules: dict[str, Any]
    output_format: str = "parquet"

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(plan.rows for plan in self.plans)

    def description(self) -> bytes:
        """Return what decides about the output; the same for the same inputs, model and rules."""
        inputs = [
            {"name": plan.file.name, "digest": plan.digest, "bytes": plan.file.size_bytes, "rows": plan.rows, "encoding": plan.encoding}
            for plan in self.plans
        ]
        found = {"schema": _SCHEMA, "format": self.output_format, "model": self.model, "rules": self.rules, "inputs": inputs}
        return (json.dumps(found, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace")

    def tasks(self) -> list[SplitTask]:
        """Return the splits with the names of their files: of the input, the split, the model and the rules."""
        tasks = []
        for number, plan in enumerate(self.plans, 1):
            for split in plan.splits:
                of = [plan.file.name, plan.digest, split.first_row, split.rows, self.model, self.rules]
                digest = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
                name = f"{number:05d}-{split.first_row:012d}-{digest}"
                tasks.append(SplitTask(split, f"scored/{name}.{self.output_format}", f"refused/{name}.jsonl"))
        return tasks


@dataclass(frozen=True)
class ScoredTable:
    """What became of a table.

    Attributes:
        output: The folder.
        files: How many files the input has.
        splits: How many splits it was cut into.
        done_before: How many of them an earlier run had scored.
        rows: How many rows were scored.
        refused_rows: How many were not, and stand in `refused/` with the reason.
        seconds: That this run took.
        cpu_seconds: That this run took of all processes for scoring.
        energy_wh: Estimate for this run, in watt-hours: its CPU time at `WATTS_A_CORE`.
        changed: False where all was scored already.
    """

    output: str
    model: dict[str, str]
    files: int
    splits: int
    done_before: int
    rows: int
    refused_rows: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    energy_wh: float = 0.0
    changed: bool = True
    dry_run: bool = False


def score_table(
    job: ScoreJob,
    recipe: ScoringRecipe,
    output: OutputFolder,
    *,
    processes: int | None,
    address: str | None = None,
    dry_run: bool,
    progress: Callable[[str], None],
) -> ScoredTable:
    """Return what became of a table, all of which is scored then; what an earlier run scored stays as it is.

    Args:
        processes: How many splits are scored at once; None for one a core.
        address: Of the Ray cluster that scores; None for this machine.

    Raises:
        UsageError: The output holds something else.
        DataError: A file cannot be read any further.
        OutsideError: A process was killed, or the output cannot be written.
    """
    tasks, names = job.tasks(), set(output.names())
    _check_output(job, output, names, tasks)
    left = [task for task in tasks if task.scored_name not in names]
    counted = [_counted(job, output, task, refused=task.refused_name in names) for task in tasks if task.scored_name in names]
    if dry_run or (SUMMARY_FILE in names and not left):
        rows = sum(task.split.rows for task in left) + sum(count.rows for count in counted)
        refused = sum(count.refused_rows for count in counted)
        return ScoredTable(output.name, job.model, len(job.plans), len(tasks), len(counted), rows, refused, changed=False, dry_run=dry_run)
    _begin(job, output, names)
    began = time.monotonic()
    meter = _Meter(job.rows, sum(count.rows + count.refused_rows for count in counted), progress)
    for count in _counts(left, recipe, output, processes=processes, address=address, progress=progress):
        counted.append(count)
        meter.add(count.rows + count.refused_rows)
    _check_complete(job, output, tasks)
    done = _table(job, output, counted, len(tasks) - len(left), time.monotonic() - began)
    output.write(SUMMARY_FILE, (json.dumps(_summary(job, done), ensure_ascii=False, indent=2) + "\n").encode())
    return done


def _begin(job: ScoreJob, output: OutputFolder, names: set[str]) -> None:
    """Write what is scored, unless a run did so before; raises UsageError where another job's run does so at this moment."""
    if JOB_FILE not in names:
        output.write(JOB_FILE, job.description())
        _check_output(job, output, {JOB_FILE}, ())


def _check_complete(job: ScoreJob, output: OutputFolder, tasks: Sequence[SplitTask]) -> None:
    """Check that each split has its file, and that no other run began in this folder at the same moment."""
    names = set(output.names())
    _check_output(job, output, names, tasks)
    missing = next((task.scored_name for task in tasks if task.scored_name not in names), None)
    if missing is not None:
        hint = f"ls -l {shell_word(output.name)}/scored" if is_on_disk(output) else None
        raise OutsideError(f"{output.name}/{missing} is gone again; the same command scores its rows", hint=hint)


def _counts(
    tasks: Sequence[SplitTask],
    recipe: ScoringRecipe,
    output: OutputFolder,
    *,
    processes: int | None,
    address: str | None,
    progress: Callable[[str], None],
) -> Iterator[SplitCount]:
    if address is not None:
        return write_splits_on_cluster(tasks, recipe, output, address=address, most=processes, progress=progress)
    return write_splits(tasks, recipe, output, processes=processes or len(os.sched_getaffinity(0)))


def _check_output(job: ScoreJob, output: OutputFolder, names: set[str], tasks: Sequence[SplitTask]) -> None:
    """Check that the output is empty, or that a run of this job wrote it; raises UsageError otherwise.

    Args:
        names: Of the files in it.
        tasks: All of the job.
    """
    if not names:
        return
    if JOB_FILE not in names:
        raise UsageError(
            f"{output.name} holds other files, which are not overwritten: name another folder",
            hint=f"ls {shell_word(output.name)}" if is_on_disk(output) else None,
        )
    if output.read(JOB_FILE) != job.description():
        message = f"{output.name} holds the answers to other input, by another model or by other rules: name another folder"
        raise UsageError(message, hint=f"cat {shell_word(output.name)}/{JOB_FILE}" if is_on_disk(output) else None)
    own = {name for task in tasks for name in (task.scored_name, task.refused_name)}
    # Whoever reads all files of these folders would take its rows for answers.
    other = next((name for name in sorted(names - own) if name.startswith(("scored/", "refused/"))), None)
    if other is not None:
        message = f"{output.name}/{other} is no file of this run: move it away, or name another folder"
        raise UsageError(message, hint=f"ls -l {shell_word(f'{output.name}/{other}')}" if is_on_disk(output) else None)


def _counted(job: ScoreJob, output: OutputFolder, task: SplitTask, *, refused: bool) -> SplitCount:
    """Return what became of a split in an earlier run: each of its rows is in one of its files."""
    split, name = task.split, f"{output.name}/{task.scored_name}"
    hint = f"rm {shell_word(name)}" if is_on_disk(output) else None
    try:
        same = {"input": split.file.name, "model_version": job.model["version"]}
        scored = scored_numbers_of(output.read(task.scored_name), job.output_format, **same)
        others = refused_numbers_of(output.read(task.refused_name)) if refused else []
    except DataError as error:
        raise DataError(f"{name} was changed: {error.message}", hint=hint) from error
    if sorted([*scored, *others]) != list(range(split.first_row, split.first_row + split.rows)):
        last = split.first_row + split.rows - 1
        message = f"{name} was changed: it and its file in refused/ do not hold each of the rows {split.first_row:,} to {last:,} once"
        raise DataError(message, hint=hint)
    return SplitCount(len(scored), len(others), 0.0)


def _table(job: ScoreJob, output: OutputFolder, counts: Sequence[SplitCount], before: int, seconds: float) -> ScoredTable:
    cpu = sum(count.cpu_seconds for count in counts)
    return ScoredTable(
        output=output.name,
        model=job.model,
        files=len(job.plans),
        splits=len(counts),
        done_before=before,
        rows=sum(count.rows for count in counts),
        refused_rows=sum(count.refused_rows for count in counts),
        seconds=round(seconds, 3),
        cpu_seconds=round(cpu, 3),
        energy_wh=round(cpu * WATTS_A_CORE / 3_600, 6),
    )


def _summary(job: ScoreJob, done: ScoredTable) -> dict[str, Any]:
    return {**json.loads(job.description()), **asdict(done), "watts_a_core": WATTS_A_CORE}


class _Meter:
    """Tells how far the work is, at what rate it goes on, and how long it takes still."""

    def __init__(self, rows: int, before: int, progress: Callable[[str], None]) -> None:
        self._rows, self._done, self._new, self._progress = rows, before, 0, progress
        self._began = self._last = time.monotonic()

    def add(self, rows: int) -> None:
        self._done += rows
        self._new += rows
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN and self._done < self._rows:
            return
        self._last = now
        rate = self._new / max(now - self._began, 1e-9)
        left = (self._rows - self._done) / rate if rate else 0.0
        self._progress(f"{self._done:,} of {self._rows:,} rows, {rate:,.0f} rows/s, {left:,.0f} s left")

"""Score splits in processes of this machine."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from passerelle.batch.scored_split import AnswerOf, ReadRecords, Scoring, score_split
from passerelle.batch.table_file import LocalFile, OutputFolder
from passerelle.batch.table_plan import TableSplit
from passerelle.errors import OutsideError
from passerelle.model.loaded import LoadedModel, load_model
from passerelle.settings import ServiceSettings, SigningSettings

#: Splits that wait for a process, for each of them.
_WAITING = 2


@dataclass(frozen=True)
class ScoringRecipe:
    """What a process needs to score; handed to each of them.

    Attributes:
        model_folder: Of the bento model, which is checked in each process.
        record_reader: Makes the check of records; a function of a module.
        settings: Limits of texts, and the review threshold.
        ids: Columns that name rows.
        signing: What the model's signature is verified with.
        redact: As of `Scoring`; a function of a module.
        output_format: As of `Scoring`.
        answer_of: As of `Scoring`; a function of a module.
    """

    model_folder: Path
    record_reader: Callable[[LoadedModel, ServiceSettings], ReadRecords]
    settings: ServiceSettings
    ids: tuple[str, ...] = ()
    signing: SigningSettings | None = None
    redact: Callable[[str], str] | None = None
    output_format: str = "parquet"
    answer_of: AnswerOf | None = None

    def scoring(self) -> Scoring:
        """Return what rows are scored by.

        Raises:
            IntegrityError: As `load_model`.
            OutsideError: As `load_model`.
        """
        model = load_model(self.model_folder, signing=self.signing)
        reader = self.record_reader(model, self.settings)
        return Scoring(model, reader, self.ids, self.settings.review_threshold, self.redact, self.output_format, self.answer_of)


@dataclass(frozen=True)
class SplitTask:
    """A split, and the names of the files that it becomes."""

    split: TableSplit
    scored_name: str
    refused_name: str


@dataclass(frozen=True)
class SplitCount:
    """What became of a split."""

    rows: int
    refused_rows: int
    cpu_seconds: float


def write_split(task: SplitTask, scoring: Scoring, output: OutputFolder) -> SplitCount:
    """Score a split and write its files; the scored rows last, since their file says that the split is done."""
    began = time.process_time()
    with _without_collector():
        found = score_split(task.split, scoring)
    if isinstance(task.split.file, LocalFile):
        task.split.file.check()
    if found.refused_rows:
        output.write(task.refused_name, found.refused)
    output.write(task.scored_name, found.content)
    return SplitCount(found.rows, found.refused_rows, time.process_time() - began)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Stop the search for circles of objects: rows make none, and to look for them takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def write_splits(tasks: Sequence[SplitTask], recipe: ScoringRecipe, output: OutputFolder, *, processes: int) -> Iterator[SplitCount]:
    """Score splits and yield what became of each, as they end.

    Args:
        processes: How many work at once; with one, it is this one.

    Raises:
        OutsideError: A process was killed, or the output cannot be written; what is written stays.
        DataError: A split cannot be read.
    """
    if processes == 1 or len(tasks) < 2:  # noqa: PLR2004 - one split needs one process
        scoring = recipe.scoring()
        yield from (write_split(task, scoring, output) for task in tasks)
        return
    workers = min(processes, len(tasks))
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(recipe, output))
    try:
        yield from _as_they_end(pool, tasks, workers * _WAITING)
    except BrokenProcessPool as error:
        message = "a process that scored was killed, as the kernel does when memory runs out; what is written so far is kept"
        raise OutsideError(message, hint="passerelle score --processes 1 --input INPUT --output OUTPUT") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _as_they_end(pool: ProcessPoolExecutor, tasks: Sequence[SplitTask], most: int) -> Iterator[SplitCount]:
    running: set[Future[SplitCount]] = set()
    for task in tasks:
        if len(running) >= most:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
        running.add(pool.submit(_work, task))
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


class _Process:
    """What a process keeps between two splits, or why it cannot score."""

    scoring: Scoring | None = None
    output: OutputFolder | None = None
    problem: Exception | None = None


def _begin(recipe: ScoringRecipe, output: OutputFolder) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Process.output = output
    try:
        _Process.scoring = recipe.scoring()
    except Exception as error:  # noqa: BLE001 - an initializer that raises would hide why behind a broken pool
        _Process.problem = error


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: the pool would let it wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: SplitTask) -> SplitCount:
    if _Process.problem is not None:
        raise _Process.problem
    assert _Process.scoring is not None  # noqa: S101 - `_begin` has run
    assert _Process.output is not None  # noqa: S101 - likewise
    return write_split(task, _Process.scoring, _Process.output)

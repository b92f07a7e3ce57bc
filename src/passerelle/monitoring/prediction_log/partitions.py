"""The log read back: answers, feedback and texts by day, from Parquet and from the lines that are not yet collected.

Of answers that lie in several files, as after an interrupted collection, one is returned; erased ones are left out; columns that files of
an older schema lack are null, and those of a newer one that this passerelle does not know are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from typing import BinaryIO

import pyarrow as pa

from passerelle.errors import BusyError
from passerelle.monitoring.prediction_log.arrow_rows import filtered, parquet_file, repeated_rows, rows_of, schema_of, table_of, without_ids
from passerelle.monitoring.prediction_log.erasures import erased_ids
from passerelle.monitoring.prediction_log.lines import parsed_lines, trees_of
from passerelle.monitoring.prediction_log.log_place import CLOSED, OPEN, LogPlace
from passerelle.monitoring.prediction_log.trees import FEEDBACK, PREDICTIONS, TREES, Tree, day_in

_ATTEMPTS = 10


@dataclass
class ReadingCounts:
    """What a reading left out.

    Attributes:
        torn: Last lines without an end.
        rejected: Lines that are no records.
        duplicates: Rows that another file holds too.
        erased: Rows that a person had erased.
    """

    torn: int = 0
    rejected: int = 0
    duplicates: int = 0
    erased: int = 0


def days_between(first: date, last: date) -> tuple[date, ...]:
    """Return the days from the first to the last, both included; none where the last comes before the first."""
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


def logged_days(place: LogPlace) -> tuple[date, ...]:
    """Return the days that the log holds an answer or feedback of, in order."""
    days = {day_in(name) for tree in TREES for name in place.names(f"{tree.folder}/")} - {None}
    for tree in (PREDICTIONS, FEEDBACK):
        days |= set(_uncollected(place, tree, None, ("prediction_id",), ReadingCounts()))
    return tuple(sorted(day for day in days if day is not None))


def read_table(
    place: LogPlace, tree: Tree, days: Iterable[date], columns: Sequence[str] | None = None, *, counts: ReadingCounts | None = None
) -> pa.Table:
    """Return the rows of a tree as one table.

    Args:
        days: Of the answers.
        columns: Those of the tree to return; by default all of them.
        counts: Is added to.

    Raises:
        OutsideError: A file cannot be read; names it.
        IntegrityError: A list of erased ids is damaged.
    """
    return pa.Table.from_batches(batches(place, tree, days, columns, counts=counts), schema=schema_of(tree, columns))


def prediction_batches(
    place: LogPlace, days: Iterable[date], columns: Sequence[str] | None = None, *, counts: ReadingCounts | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the answers of these days, day by day and at most 65,536 at a time, so that years fit into little memory.

    Arguments and errors are those of `read_table`. No order within a day is promised.
    """
    return batches(place, PREDICTIONS, days, columns, counts=counts)


def read_feedback(
    place: LogPlace, days: Iterable[date], columns: Sequence[str] | None = None, *, counts: ReadingCounts | None = None
) -> pa.Table:
    """Return the feedback on the answers of these days as a table: all of it, so that several rows may be about one answer.

    Args:
        days: Of the answers, not of the feedback.
        columns: Those of `LoggedFeedback` to return, without `comment`, `fields` and `redaction`; by default all of them.
        counts: Is added to.

    Raises:
        OutsideError: As `read_table`.
        IntegrityError: As `read_table`.
    """
    return read_table(place, FEEDBACK, days, columns, counts=counts)


def batches(
    place: LogPlace, tree: Tree, days: Iterable[date], columns: Sequence[str] | None = None, *, counts: ReadingCounts | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a tree, day by day; arguments and errors are those of `read_table`."""
    chosen, counted = tuple(columns or tree.columns), counts if counts is not None else ReadingCounts()
    ordered = sorted(set(days))
    # Lines first, then Parquet: what is collected in between is found twice, and not missed.
    lines = _uncollected(place, tree, frozenset(ordered), _with_key(tree, chosen), counted)
    for day in ordered:
        yield from _batches_of_day(place, tree, day, chosen, lines=lines.pop(day, []), counts=counted)


def _with_key(tree: Tree, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*columns, *tree.key)))


def _uncollected(
    place: LogPlace, tree: Tree, days: frozenset[date] | None, columns: Sequence[str], counts: ReadingCounts
) -> dict[date, list[pa.Table]]:
    """Return the rows of the lines that no collection has turned into Parquet, by day; None of `days` are all days."""
    found: dict[date, list[pa.Table]] = {}
    with ExitStack() as stack:
        for _, file in _opened(place, (f"{OPEN}/", f"{CLOSED}/"), stack, kind=tree.kind):
            for parsed in parsed_lines(file, [tree]):
                counts.torn += parsed.torn
                counts.rejected += len(parsed.rejected)
                for (_, day), rows in parsed.rows.items():
                    if days is None or day in days:
                        found.setdefault(day, []).append(table_of(tree, rows).select(list(columns)))
    return found


def _opened(place: LogPlace, folders: Sequence[str], stack: ExitStack, *, kind: str | None = None) -> list[tuple[str, BinaryIO]]:
    """Return all files of these folders, open; lists them again where one moves on between the listing and the opening.

    Args:
        stack: Closes them.
        kind: Of the lines; None for Parquet.
    """
    for _ in range(_ATTEMPTS):
        names = [name for folder in folders for name in place.names(folder)]
        if kind is not None:
            names = [name for name in names if any(tree.kind == kind for tree in trees_of(name))]
        with ExitStack() as attempt:
            try:
                files = [(name, attempt.enter_context(place.open(name))) for name in names]
            except FileNotFoundError:
                continue
            stack.push(attempt.pop_all())
            return files
    raise BusyError(f"the files of {' and '.join(folders)} in the prediction log move on continuously; run this command again")


def _batches_of_day(
    place: LogPlace, tree: Tree, day: date, columns: Sequence[str], *, lines: Sequence[pa.Table], counts: ReadingCounts
) -> Iterator[pa.RecordBatch]:
    erased, read, begin = erased_ids(place, day), _with_key(tree, columns), 0
    with ExitStack() as stack:
        files = [parquet_file(file, name) for name, file in _opened(place, (f"{tree.partition(day)}/",), stack)]
        # Within one file of the collector no key stands twice.
        repeated = repeated_rows(tree, files, lines) if len(files) > 1 or lines else None
        for batch in rows_of(tree, files, lines, read):
            kept = batch
            if repeated is not None:
                kept = filtered(batch, ~repeated[begin : begin + batch.num_rows])
                counts.duplicates += batch.num_rows - kept.num_rows
            begin += batch.num_rows
            if erased:
                before, kept = kept.num_rows, without_ids(kept, erased)
                counts.erased += before - kept.num_rows
            if kept.num_rows:
                yield kept.select(list(columns))

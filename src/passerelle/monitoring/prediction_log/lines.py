"""The lines that the workers write, parsed: rows of the trees by day, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, BinaryIO

import orjson

from passerelle.model.prediction_id import day_of, is_prediction_id
from passerelle.monitoring.prediction_log.trees import TREES, Tree

#: Lines that are turned into rows at a time, so that a file of 64 MB takes little memory.
_CHUNK = 10_000
_LARGEST_INTEGER = 2**63
Row = Sequence[object]


@dataclass(frozen=True)
class RejectedLine:
    """A line that is no record.

    Attributes:
        number: Of the line in its file, from 1.
        reason: What is wrong with it; holds none of its content.
    """

    number: int
    reason: str
    content: bytes = field(repr=False)


@dataclass
class ParsedLines:
    """Some lines of a file.

    Attributes:
        rows: By tree and day.
        rejected: The lines that are no records.
        torn: Number of last lines without an end: 1 where the worker or the machine stopped in the middle of a line.
    """

    rows: dict[tuple[str, date], list[Row]] = field(default_factory=dict)
    rejected: list[RejectedLine] = field(default_factory=list)
    torn: int = 0


def trees_of(name: str) -> tuple[Tree, ...]:
    """Return the trees that the lines of a file go to, by the file's name; none for a file that is not the log's."""
    kind = name.rpartition("/")[2].partition("-")[0]
    return tuple(tree for tree in TREES if tree.kind == kind) if name.endswith(".jsonl") else ()


def parsed_lines(file: BinaryIO, trees: Sequence[Tree]) -> Iterator[ParsedLines]:
    """Yield the lines of a file, some thousands at a time.

    Args:
        trees: That its lines go to.
    """
    numbered = enumerate(file, start=1)
    while chunk := list(islice(numbered, _CHUNK)):
        parsed = ParsedLines()
        for number, line in chunk:
            if not line.strip():
                continue
            record, reason = _record(line, trees)
            if record is not None:
                _add(parsed, record, trees)
            elif not line.endswith(b"\n"):
                parsed.torn += 1
            else:
                parsed.rejected.append(RejectedLine(number, reason, line))
        yield parsed


def _record(line: bytes, trees: Sequence[Tree]) -> tuple[Mapping[str, Any] | None, str]:
    """Return the record of a line, or None and the reason why it is none."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, "it is not JSON"
    if not isinstance(record, dict):
        return None, "it is not a JSON object"
    prediction_id = record.get("prediction_id")
    if not isinstance(prediction_id, str) or not is_prediction_id(prediction_id):
        return None, "it has no prediction_id of an answer"
    for tree in trees:
        for column, kind in tree.columns.items():
            if not _fits(column, kind, record.get(column)):
                return None, f"its {column} is not of the type {'object' if column == 'fields' else kind}"
    try:
        day_of(prediction_id)
    except (ValueError, OverflowError, OSError):
        return None, "its prediction_id names no day"
    return record, ""


def _fits(column: str, kind: str, value: object) -> bool:
    """Return whether a value can stand in a column; what a line lacks is null, as lines of an older schema lack columns."""
    if value is None:
        return True
    if column == "fields":
        return isinstance(value, dict)
    if kind == "double":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "int64":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_INTEGER
    return isinstance(value, str if kind == "string" else bool)


def _add(parsed: ParsedLines, record: Mapping[str, Any], trees: Sequence[Tree]) -> None:
    day = day_of(record["prediction_id"])
    for tree in trees:
        if tree.texts and all(record.get(column) is None for column in tree.texts):
            continue
        row = [_cell(column, record.get(column)) for column in tree.columns]
        parsed.rows.setdefault((tree.name, day), []).append(row)


def _cell(column: str, value: object) -> object:
    return orjson.dumps(value).decode() if column == "fields" and value is not None else value

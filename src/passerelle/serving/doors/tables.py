"""Tables of records in the forms of MLflow and KServe: by rows, by columns, split, or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from math import isinf
from typing import Any

from passerelle.model.record import Column
from passerelle.serving.contract import Contract
from passerelle.serving.doors.question import invalid, too_many

Records = list[dict[str, object]]
_LONGEST_NUMBER = 40
_LINES_A_SLICE = 64
#: Of one line; a line of a megabyte of commas would hold the event loop for 20 ms.
_MOST_COMMAS = 32_768
_TRUTH: Mapping[str, bool] = {"true": True, "false": False}


def by_rows(rows: object, contract: Contract) -> Records:
    """Return records that are objects, or lists of values in the order of the columns, or the values of the one column.

    Raises:
        RequestError: 400.
    """
    if not isinstance(rows, list):
        raise invalid("the records are not a list")
    if len(rows) > contract.batch_structure.records:
        raise too_many(contract)
    return [_record(row, contract.columns) for row in rows]


def by_objects(rows: object, contract: Contract) -> Records:
    """Return records that are objects.

    Raises:
        RequestError: 400.
    """
    if isinstance(rows, list) and not all(isinstance(row, dict) for row in rows):
        raise invalid("a record is not an object")
    return by_rows(rows, contract)


def by_columns(columns: object, contract: Contract) -> Records:
    """Return records that are given as a list of values for each column, or as a table by rows.

    Raises:
        RequestError: 400.
    """
    if not isinstance(columns, dict):
        return by_rows(columns, contract)
    values = [each if isinstance(each, list) else [each] for each in columns.values()]
    counts = {len(each) for each in values}
    if len(counts) != 1:
        raise invalid("the columns have different numbers of records")
    if counts.pop() > contract.batch_structure.records or len(columns) > _most_columns(contract):
        raise too_many(contract)
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def split(table: object, contract: Contract) -> Records:
    """Return records whose names of columns are given once.

    Raises:
        RequestError: 400.
    """
    if not isinstance(table, dict) or not table.keys() <= {"columns", "data", "index"}:
        raise invalid("dataframe_split is an object with columns and data")
    columns, data = table.get("columns"), table.get("data")
    if not isinstance(columns, list) or not all(isinstance(each, str) for each in columns) or len(set(columns)) != len(columns):
        raise invalid("columns is a list of names, each once")
    if not isinstance(data, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        raise invalid("data is a list of rows, each with a value for every column")
    if len(data) > contract.batch_structure.records:
        raise too_many(contract)
    return [dict(zip(columns, row, strict=True)) for row in data]


def by_lines(body: bytes, contract: Contract, columns: Sequence[Column]) -> Generator[None, None, Records]:
    """Return the records of a CSV table, whose first line names the columns; an empty cell is a value that was left out.

    Yields between some of the lines.

    Raises:
        RequestError: 400.
    """
    try:
        lines = csv.reader(_few_commas(io.StringIO(body.decode("utf-8-sig"), newline="")), strict=True)
        names = next(lines, [])
        if not names or len(set(names)) != len(names) or len(names) > _most_columns(contract):
            raise invalid("the first line does not name the columns, each once")
        types = {column.name: column.type for column in columns}
        records: Records = []
        for count, row in enumerate(lines, 1):
            if row:
                records.append(_cells(names, row, types))
            if len(records) > contract.batch_structure.records:
                raise too_many(contract)
            if count % _LINES_A_SLICE == 0:
                yield
    except (UnicodeDecodeError, csv.Error):
        raise invalid("the body is not CSV in UTF-8") from None
    return records


def _few_commas(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines; raises RequestError for one that would be of too many cells."""
    for line in lines:
        if line.count(",") > _MOST_COMMAS:
            raise invalid(f"a line has more than {_MOST_COMMAS} commas")
        yield line


def _cells(names: Sequence[str], row: Sequence[str], types: Mapping[str, str]) -> dict[str, object]:
    if len(row) != len(names):
        raise invalid("a line has another number of cells than the first one")
    return {name: _value(cell, types.get(name, "string")) for name, cell in zip(names, row, strict=True)}


_READERS: Mapping[str, Callable[[str], object]] = {
    "boolean": lambda cell: _TRUTH[cell.lower()],
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
}


def _value(cell: str, kind: str) -> object:
    """Return the value of a cell; as it stands where it is none of its column's type, so that the contract refuses it."""
    if not cell:
        return None
    reader = _READERS.get(kind)
    if reader is None or len(cell) > _LONGEST_NUMBER:
        return cell
    try:
        value = reader(cell)
    except (ValueError, KeyError):
        return cell
    # JSON has no infinity: it would count as a value that was left out, as "nan" does, which pandas writes for one.
    return cell if isinstance(value, float) and isinf(value) else value


def _record(row: Any, columns: Sequence[str]) -> dict[str, object]:
    if isinstance(row, dict):
        return row
    values = row if isinstance(row, list) else [row]
    if len(values) != len(columns):
        raise invalid("a record has another number of values than the model has columns")
    return dict(zip(columns, values, strict=True))


def _most_columns(contract: Contract) -> int:
    """Return how many columns are looked at: a few more than there are, so that the contract names the first unknown one."""
    return 2 * len(contract.columns) + 16

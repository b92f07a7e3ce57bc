"""The files of the output: written in a format, and counted again by a run that goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
from pyarrow.csv import write_csv
from pyarrow.parquet import read_table, write_table

from passerelle.batch.table_file import csv_rows
from passerelle.errors import DataError


def scored_content(table: pa.Table, kind: str, *, repeated: Collection[str], nested: Collection[str] = ()) -> bytes:
    """Return the file of a table, in UTF-8 where it is text.

    Args:
        table: The answers to a split.
        kind: csv, with a header in each file; jsonl; or parquet.
        repeated: Columns of few values.
        nested: Columns of JSON, which is a part of a line in jsonl, and a text elsewhere.
    """
    if kind == "jsonl":
        rows = ({**row, **{name: orjson.Fragment(row[name]) for name in nested}} for row in table.to_pylist())
        return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    content = io.BytesIO()
    if kind == "csv":
        write_csv(table, content)
    else:
        write_table(table, content, use_dictionary=list(repeated), compression="zstd")
    return content.getvalue()


def scored_numbers_of(content: bytes, kind: str, **same: str) -> list[int]:
    """Return the numbers of the rows that a scored file answers.

    Args:
        same: Columns, and what each row must hold in them.

    Raises:
        DataError: It is no such file, or answers rows of another one.
    """
    try:
        rows = _values(content, kind, ["row", *same])
        numbers = [int(row) for row in rows["row"]]
        other = next((name for name, value in same.items() if any(each != value for each in rows[name])), None)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError, StopIteration, csv.Error) as error:
        raise DataError("it is not a file that score wrote") from error
    if other is not None:
        raise DataError(f"its rows have another '{other}' than '{same[other]}'")
    return numbers


def refused_numbers_of(content: bytes) -> list[int]:
    """Return the numbers of the rows that a file of refused rows names.

    Raises:
        DataError: It is no such file.
    """
    try:
        return [int(orjson.loads(line)["row"]) for line in content.splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("its file in refused/ is not one that score wrote") from error


def _values(content: bytes, kind: str, columns: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """Return what columns of a scored file hold, by column; of Parquet each value once, but for numbers of rows."""
    if kind == "parquet":
        found = read_table(io.BytesIO(content), columns=list(columns))
        return {name: (found[name] if name == "row" else found[name].unique()).to_pylist() for name in columns}
    if kind == "jsonl":
        objects = [orjson.loads(line) for line in content.split(b"\n")[:-1]]
        return {name: [each[name] for each in objects] for name in columns}
    # A row that was torn is none, as a line of JSON without its end.
    rows = csv_rows(content[: content.rfind(b"\n") + 1].decode())
    header, cells = next(rows), list(rows)
    return {name: [row[header.index(name)] for row in cells] for name in columns}

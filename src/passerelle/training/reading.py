"""From a file to a table: CSV in the encodings and separators that people export, xlsx, JSON or Parquet, each also as gzip."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from passerelle.errors import DataError, shell_word
from passerelle.training.file_columns import columns_of, lacks_header
from passerelle.training.file_content import OTHER_FILE, check_cells, content_of, text_of
from passerelle.training.json_table import is_json, json_table
from passerelle.training.parquet_table import parquet_table

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_COLUMNS_NAMED = 20


def read_table(path: Path, used: Collection[str], *, sheet: str | None = None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the file's table, at least one row long, and what was assumed about the file.

    Cells of a CSV file, of a workbook and of JSON are strings, an empty cell is missing; a Parquet file keeps its types. The index
    counts the file's rows from 0, without the header.

    Args:
        path: CSV, xlsx, JSON (an array, or an object a line) or Parquet file, which may be compressed with gzip.
        used: Columns that will be used; they decide which separator is meant. None are checked where none are named.
        sheet: Of a workbook; by default the first.

    Raises:
        DataError: There is no such file, it cannot be read, it has no row, or a wanted column is absent or there twice.
    """
    content, end = content_of(path)
    notes: tuple[str, ...] = ()
    names_in_rows = False
    if sheet is not None and not content.startswith(_WORKBOOK_MARKS):
        raise DataError(f"{path} is no workbook: it has no sheet '{sheet}'", hint=f"passerelle train --data {shell_word(path)}")
    if content.startswith(b"PAR1") or end in {".parquet", ".pq"}:
        table = parquet_table(path, content)
    elif content.startswith(_WORKBOOK_MARKS):
        from passerelle.training.workbook import workbook_table  # noqa: PLC0415 - openpyxl is slow to import and seldom needed

        table, notes = workbook_table(path, content, sheet)
        names_in_rows = True
    elif is_json(content, end):
        table, notes = json_table(path, content, used)
    else:
        table, notes = _csv(path, content, used)
        names_in_rows = True
    table.columns = [str(name).strip() for name in table.columns]
    _check_columns(path, table, used, names_in_rows=names_in_rows)
    if table.empty:
        raise DataError(f"{path} has a header and no row", hint=OTHER_FILE)
    return table, notes


def _csv(path: Path, content: bytes, used: Collection[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    text, notes = text_of(path, content)
    separator, columns = _separator(text, used)
    check_cells(path, columns)
    if separator != ",":
        notes = (*notes, f"{path.name} is separated by {SEPARATORS[separator]}s")
    try:
        # The columns are named by position first: pandas would rename the second of two equal names.
        table = pd.read_csv(io.StringIO(text), sep=separator, header=None, dtype=str, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        way_out = f"put texts that hold a {SEPARATORS[separator]} or a line break in double quotes"
        raise DataError(
            f"{path} is not a CSV table: {_first_line(error)}; {way_out}", hint=f"passerelle train --data {shell_word(path)}"
        ) from error
    header = ["" if pd.isna(name) else str(name) for name in table.iloc[0]]
    rows = table.iloc[1:].set_axis(header, axis=1).set_axis(range(len(table) - 1), axis=0)
    filled = rows.dropna(how="all")
    if len(filled) < len(rows):  # what a spreadsheet leaves below its last row
        notes = (*notes, f"{len(rows) - len(filled)} rows without any value are left out")
    return filled, notes


def _separator(text: str, used: Collection[str]) -> tuple[str, int]:
    """Return the separator under which the header holds most of the wanted columns, then most columns; and how many columns."""

    def score(separator: str) -> tuple[int, int]:
        header = next(csv.reader(io.StringIO(text), delimiter=separator))
        names = {name.strip() for name in header}
        return len(names & set(used)), len(header)

    try:
        chosen = max(SEPARATORS, key=score)
        return chosen, score(chosen)[1]
    except csv.Error:  # for example a line break inside an open quote: the message of pandas is clearer
        return ",", 0


def _check_columns(path: Path, table: pd.DataFrame, used: Collection[str], *, names_in_rows: bool) -> None:
    columns = list(table.columns)
    for name in used:
        if name not in columns:
            raise _absent(path, table, name, names_in_rows=names_in_rows)
        if columns.count(name) > 1:
            raise DataError(
                f"{path} has {columns.count(name)} columns '{name}'; rename all but one",
                hint=f"passerelle train --data {shell_word(path)}",
            )


def _absent(path: Path, table: pd.DataFrame, name: str, *, names_in_rows: bool) -> DataError:
    if names_in_rows and lacks_header(table):
        return without_header(path, table)
    there = ", ".join(column.title for column in columns_of(table.iloc[:, :_COLUMNS_NAMED]) if column.name != "")
    return DataError(
        f"{path} has no column '{name}'; it has {there}",
        hint=f"passerelle train --data {shell_word(path)} --text-column COLUMN --label-column COLUMN",
    )


def without_header(path: Path, table: pd.DataFrame) -> DataError:
    """Return the error for a file whose first row is no header; it shows none of its cells."""
    hint = f"passerelle train --data {shell_word(path)} --text-column COLUMN --label-column COLUMN"
    message = f"{path} seems to have no header row: its first row looks like the rows below it"
    return DataError(f"{message}; put a row with the names of its {table.shape[1]} columns first", hint=hint)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

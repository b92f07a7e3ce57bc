"""From a file to a table of strings: CSV in the encodings and separators that people export, or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from passerelle.errors import DataError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_ENCODINGS_BY_MARK = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE_AS_CSV = "save the table as CSV UTF-8 (comma-separated)"


def read_table(path: Path, used: Collection[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the file's table, at least one row long, and what was assumed about the file.

    Cells of a CSV file are strings, an empty cell is missing; a Parquet file keeps its types. The index
    counts the file's rows from 0, without the header.

    Args:
        path: CSV or Parquet file.
        used: Columns that will be used; they decide which separator is meant.

    Raises:
        DataError: There is no such file, it cannot be read, it has no row, or a wanted column is absent or there twice.
    """
    content = _content(path)
    notes: tuple[str, ...] = ()
    if content.startswith(b"PAR1") or path.suffix.lower() in {".parquet", ".pq"}:
        table = _parquet(path, content).reset_index(drop=True)
    else:
        table, notes = _csv(path, content, used)
    table.columns = [str(name).strip() for name in table.columns]
    _check_columns(path, list(table.columns), used)
    if table.empty:
        raise DataError(f"{path} has a header and no row", hint="passerelle train --data FILE")
    return table, notes


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", hint=f"ls {path.parent}; passerelle train --data FILE") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint=f"ls -ld {path}") from error
    if not content.strip():
        raise DataError(f"{path} is empty", hint="passerelle train --data FILE")
    return content


def _parquet(path: Path, content: bytes) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(content))
    except (OSError, ValueError) as error:  # what pyarrow raises is one of these
        raise DataError(
            f"{path} is not a Parquet file that can be read: {_first_line(error)}; {_SAVE_AS_CSV}", hint="passerelle train --data FILE"
        ) from error


def _csv(path: Path, content: bytes, used: Collection[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    text, notes = _decode(path, content)
    separator = _separator(text, used)
    if separator != ",":
        notes = (*notes, f"{path.name} is separated by {SEPARATORS[separator]}s")
    try:
        # The columns are named by position first: pandas would rename the second of two equal names.
        table = pd.read_csv(io.StringIO(text), sep=separator, header=None, dtype=str, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        way_out = f"put texts that hold a {SEPARATORS[separator]} or a line break in double quotes"
        raise DataError(f"{path} is not a CSV table: {_first_line(error)}; {way_out}", hint=f"passerelle train --data {path}") from error
    header = ["" if pd.isna(name) else str(name) for name in table.iloc[0]]
    rows = table.iloc[1:].set_axis(header, axis=1).set_axis(range(len(table) - 1), axis=0)
    filled = rows.dropna(how="all")
    if len(filled) < len(rows):  # what a spreadsheet leaves below its last row
        notes = (*notes, f"{len(rows) - len(filled)} rows without any value are left out")
    return filled, notes


def _decode(path: Path, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the file's text: in the encoding of its byte-order mark, else UTF-8, else Windows-1252."""
    if content.startswith(_WORKBOOK_MARKS):
        raise DataError(f"{path} is a workbook or an archive, not CSV or Parquet; {_SAVE_AS_CSV}", hint="passerelle train --data FILE")
    mark = next((mark for mark in _ENCODINGS_BY_MARK if content.startswith(mark)), None)
    notes: tuple[str, ...] = ()
    try:
        if mark is not None:
            text = content.decode(_ENCODINGS_BY_MARK[mark])
            notes = (f"{path.name} starts with a byte-order mark; read as {_ENCODINGS_BY_MARK[mark].removesuffix('-sig').upper()}",)
        else:
            text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if mark is not None:
            raise _unknown_encoding(path) from error
        text, notes = _decode_windows(path, content), (f"{path.name} is not UTF-8; read as Windows-1252 (Latin-1)",)
    if "\x00" in text:
        raise DataError(f"{path} holds NUL characters: it is not a text file; {_SAVE_AS_CSV}", hint="passerelle train --data FILE")
    return text, notes


def _decode_windows(path: Path, content: bytes) -> str:
    if any(not line.isascii() and _is_utf8(line) for line in content.splitlines()):  # two encodings in one file
        raise _unknown_encoding(path)
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise _unknown_encoding(path) from error


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unknown_encoding(path: Path) -> DataError:
    return DataError(
        f"{path} is neither UTF-8 nor Windows-1252 (Latin-1) throughout",
        hint=f"iconv -f ENCODING -t UTF-8 {path} > utf8.csv; passerelle train --data utf8.csv",
    )


def _separator(text: str, used: Collection[str]) -> str:
    """Return the separator under which the header holds most of the wanted columns, then most columns."""

    def score(separator: str) -> tuple[int, int]:
        header = next(csv.reader(io.StringIO(text), delimiter=separator))
        names = {name.strip() for name in header}
        return len(names & set(used)), len(header)

    try:
        return max(SEPARATORS, key=score)
    except csv.Error:  # for example a line break inside an open quote: the message of pandas is clearer
        return ","


def _check_columns(path: Path, columns: list[str], used: Collection[str]) -> None:
    for name in used:
        if name not in columns:
            there = ", ".join(f"« {column} »" for column in columns[:20] if column)
            raise DataError(
                f"{path} has no column « {name} »; it has {there}",
                hint=f"passerelle train --data {path} --text-column COLUMN --label-column COLUMN",
            )
        if columns.count(name) > 1:
            raise DataError(
                f"{path} has {columns.count(name)} columns « {name} »; rename all but one",
                hint=f"passerelle train --data {path}",
            )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

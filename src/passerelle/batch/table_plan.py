"""What a table is and how it is cut: read once before anything is scored, so that a table that cannot be scored is refused at once."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from passerelle.batch.line_ranges import MOST_ROW_BYTES, ByteRange, UnclosedQuoteError, byte_ranges
from passerelle.batch.table_file import CHUNK_BYTES, FORMATS, LocalFile, TableFile, chunks, csv_rows
from passerelle.errors import DataError, shell_word

#: Most rows of a split of a Parquet file.
PARQUET_ROWS = 50_000
DELIMITERS = (",", ";", "\t")
#: Of a Parquet file's columns in an error: how many are named, and how much of a name.
_MOST_NAMES, _NAME_CHARACTERS = 12, 60
_OF_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class TableSplit:
    """Some rows of one file, which are scored together.

    Attributes:
        file: The file.
        digest: `sha256:` and the digest of the file's content.
        format: csv, jsonl or parquet.
        first_row: Number of its first row in the file, from 1.
        rows: How many rows it has.
        lines: Where they lie, in a file of lines.
        group: Their row group, in a Parquet file.
        skipped: How many rows of the row group come before.
        header: Names of the columns, in CSV.
        delimiter: Between two cells, in CSV.
        encoding: Of the text, in CSV.
    """

    file: TableFile
    digest: str
    format: str
    first_row: int
    rows: int
    lines: ByteRange | None = None
    group: int = 0
    skipped: int = 0
    header: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"


@dataclass(frozen=True)
class TablePlan:
    """One file of the input, and how it is cut."""

    file: TableFile
    digest: str
    rows: int
    encoding: str
    splits: tuple[TableSplit, ...]


def _not_counted(_: int) -> None:
    """Do nothing."""


def plan_of(file: TableFile, columns: Sequence[str], *, read: Callable[[int], None] = _not_counted) -> TablePlan:
    """Return what a file is and how it is cut; it is read once, a piece at a time.

    Args:
        file: A table.
        columns: That it must have: those of the model's record, and those that name its rows.
        read: Told of each piece that is read, how many bytes it has.

    Raises:
        DataError: It is no table of its format, or lacks a column.
        OutsideError: Where it lies does not answer.
    """
    kind = FORMATS["." + file.name.rpartition(".")[2].lower()]
    with file.open() as content:
        if kind == "parquet":
            return _parquet_plan(file, content, columns, read)
        return _lines_plan(file, content, columns, kind, read)


@dataclass(frozen=True)
class _Head:
    """How a CSV file begins; `end` is where its first row does."""

    end: int
    header: tuple[str, ...] = ()
    delimiter: str = ","


class _Reading:
    """Pieces of a file, of which the digest and the encoding are found on the way."""

    def __init__(self, content: BinaryIO, read: Callable[[int], None]) -> None:
        self._pieces, self._read = chunks(content), read
        self._digest = hashlib.sha256()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._valid, self._of_utf8 = True, False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._digest.update(piece)
            self._look(piece)
            self._read(len(piece))
            yield piece

    def _look(self, piece: bytes) -> None:
        if piece.isascii():
            return
        self._of_utf8 = self._of_utf8 or _OF_UTF8.search(piece) is not None
        if self._valid:
            try:
                self._decoder.decode(piece)
            except UnicodeDecodeError:
                self._valid = False

    @property
    def digest(self) -> str:
        return "sha256:" + self._digest.hexdigest()

    @property
    def encoding(self) -> str:
        # In a file that is UTF-8 but for a few bytes, the rows with these bytes are refused one by one.
        return "utf-8" if self._valid or self._of_utf8 else "cp1252"


def _lines_plan(file: TableFile, content: BinaryIO, columns: Sequence[str], kind: str, read: Callable[[int], None]) -> TablePlan:
    head = _head(file, content.read(CHUNK_BYTES), columns) if kind == "csv" else _Head(0)
    content.seek(0)
    reading = _Reading(content, read)
    try:
        ranges = list(byte_ranges(_without(head.end, reading), begin=head.end, quotes=kind == "csv"))
    except UnclosedQuoteError:
        hint = f"grep -n '\"' {shell_word(file.name)}" if isinstance(file, LocalFile) else None
        raise DataError(f'{file.name} ends within quotes: a " is missing in it, or must be written twice', hint=hint) from None
    splits, row = [], 1
    encoding = reading.encoding if kind == "csv" else "utf-8"
    for each in ranges:
        splits.append(
            TableSplit(file, reading.digest, kind, row, each.rows, each, header=head.header, delimiter=head.delimiter, encoding=encoding)
        )
        row += each.rows
    return TablePlan(file, reading.digest, row - 1, encoding, tuple(splits))


def _without(begin: int, pieces: _Reading) -> Iterator[bytes]:
    """Yield the pieces without the first bytes, which lie in the first of them."""
    for number, piece in enumerate(pieces):
        yield piece if number else piece[begin:]


def _head(file: TableFile, begin: bytes, columns: Sequence[str]) -> _Head:
    if begin.startswith(_UTF16):
        hint = f"iconv -f UTF-16 -t UTF-8 {shell_word(file.name)} > TABLE.csv"
        raise DataError(f"{file.name} is in UTF-16, which is not read: convert it to UTF-8", hint=hint)
    end = _end_of_header(begin)
    text = begin[:end].removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    if not text.strip():
        message = f"{file.name} has no header: the first line of a CSV file names its columns"
        raise DataError(message, hint=f"ls -l {shell_word(file.name)}" if isinstance(file, LocalFile) else None)
    missing: list[list[str]] = []
    for delimiter in DELIMITERS:
        header = tuple(next(csv_rows(text, delimiter), ()))
        lacking = [column for column in columns if column not in header]
        if not lacking:
            _check_single(file, header, columns)
            return _Head(end, header, delimiter)
        missing.append(lacking)
    raise _lacks(file, min(missing, key=len))


def _end_of_header(begin: bytes) -> int:
    """Return where the first line ends that is not within quotes."""
    quoted, place = False, 0
    for part in begin.split(b'"'):
        if not quoted and (found := part.find(b"\n")) >= 0:
            return place + found + 1
        place, quoted = place + len(part) + 1, not quoted
    return len(begin)


def _check_single(file: TableFile, header: Sequence[str], columns: Sequence[str]) -> None:
    doubled = next((column for column in columns if header.count(column) > 1), None)
    if doubled is not None:
        raise DataError(f"{file.name} has two columns '{doubled}'", hint=_shows_header(file))


def _shows_header(file: TableFile) -> str:
    """Return the command that shows the names of a file's columns; how to name other files where no shell shows them."""
    if isinstance(file, LocalFile) and not file.name.lower().endswith(".parquet"):
        return f"head -n 1 {shell_word(file.name)}"
    return "passerelle score --help"


def _lacks(file: TableFile, columns: Sequence[str], there: Sequence[str] = ()) -> DataError:
    """Return the error of a file that lacks columns.

    Args:
        there: Names to show: not those of CSV, whose first line may be somebody's text.
    """
    named = ", ".join(f"'{column}'" for column in columns)
    message = f"{file.name} has no column {named}: the model's record and --id name the columns that a table must have"
    renamed = "; a model of one text calls it 'text', whatever its column was called in training: rename the column"
    columns_there = ", ".join(f"'{name[:_NAME_CHARACTERS]}'" for name in there[:_MOST_NAMES])
    has = f"; it has {columns_there}" + ("…" if len(there) > _MOST_NAMES else "") if there else ""
    other = "; if it is another kind of table, give --input the files or a pattern that leaves it out, not the folder"
    return DataError(message + (renamed if "text" in columns else "") + has + other, hint=_shows_header(file))


def _parquet_plan(file: TableFile, content: BinaryIO, columns: Sequence[str], read: Callable[[int], None]) -> TablePlan:
    digest = hashlib.sha256()
    for piece in chunks(content):
        digest.update(piece)
        read(len(piece))
    content.seek(0)
    try:
        with ParquetFile(content) as table:
            names = table.schema_arrow.names
            groups = [table.metadata.row_group(number).num_rows for number in range(table.metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{file.name} cannot be read as Parquet: it is damaged or cut off", hint=f"ls -l {shell_word(file.name)}"
        ) from error
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise _lacks(file, lacking, names)
    _check_single(file, names, columns)
    splits, row, named = [], 1, f"sha256:{digest.hexdigest()}"
    for group, group_rows in enumerate(groups):
        for skipped in range(0, group_rows, PARQUET_ROWS):
            rows = min(PARQUET_ROWS, group_rows - skipped)
            splits.append(TableSplit(file, named, "parquet", row, rows, group=group, skipped=skipped))
            row += rows
    return TablePlan(file, named, row - 1, "utf-8", tuple(splits))


#: What is left of a row that is longer than a row may be.
TOO_LONG = f"is longer than {MOST_ROW_BYTES >> 20} MiB"

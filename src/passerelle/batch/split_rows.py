"""The rows of a split, a few at a time, as their formats hold them."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from passerelle.batch.table_file import csv_rows
from passerelle.batch.table_plan import TOO_LONG, TableSplit
from passerelle.errors import DataError
from passerelle.model.record import Column
from passerelle.scorer.record_columns import RecordColumns

#: Rows that are scored together.
BATCH_ROWS = 2_048
#: Cells above this size of a Parquet column are not read into texts; no text of a record is as long.
_MOST_CELL_BYTES = 1 << 20
#: It ends a row for Python's reader of CSV and not for RFC 4180.
_LONE_RETURN = re.compile(r"\r(?!\n)")
#: In the place of a row that cannot be read; no header has no column.
_LONE_RETURN_ROW: list[str] = []


@dataclass(frozen=True)
class RowFault:
    """Why a row is not scored; holds nothing of its texts.

    Attributes:
        reason: The end of a sentence.
        field: The column that is wrong, if there is one.
    """

    reason: str
    field: str | None = None


#: Cells by column, those that were asked for; or why the row cannot be read. Rows that all have each cell are `RecordColumns`.
Row = Mapping[str, Any] | RowFault
Rows = Sequence[Row]


def rows_of(split: TableSplit, columns: Sequence[Column], ids: Sequence[str]) -> Iterator[Rows]:
    """Yield the rows of a split, up to `BATCH_ROWS` at a time; one for each row, whatever is wrong with it.

    Args:
        split: Some rows of a table.
        columns: Of the model's record; cells of CSV become numbers for them.
        ids: Columns that name rows.

    Raises:
        DataError: The file was changed since it was cut, or its quotes or pages are damaged.
    """
    names = tuple(dict.fromkeys((*(column.name for column in columns), *ids)))
    if split.format == "parquet":
        yield from _parquet_rows(split, names)
        return
    assert split.lines is not None  # noqa: S101 - files of lines have it
    if split.lines.too_long:
        yield [RowFault(TOO_LONG)]
        return
    with split.file.open() as file:
        file.seek(split.lines.begin)
        content = file.read(split.lines.end - split.lines.begin)
    if not split.lines.begin:
        content = content.removeprefix(codecs.BOM_UTF8)
    batches = _json_batches(content, names) if split.format == "jsonl" else _csv_batches(split, content, columns, names)
    seen = 0
    for batch in batches:
        seen += len(batch)
        yield batch
    if seen != split.rows:
        where = f"rows {split.first_row} to {split.first_row + split.rows - 1} of {split.file.name}"
        raise DataError(f'{where} hold a " within a cell that has no quotes around it; write it as RFC 4180 says')


def _json_batches(content: bytes, names: Sequence[str]) -> Iterator[Rows]:
    rows = _json_rows(content, names)
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _json_rows(content: bytes, names: Sequence[str]) -> Iterator[Row]:
    for line in content.removesuffix(b"\n").split(b"\n"):
        if not line.strip():
            yield RowFault("is blank")
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            yield RowFault("is not JSON in UTF-8")
            continue
        if isinstance(found, dict):
            yield {name: found[name] for name in names if name in found}
        else:
            yield RowFault("is not a JSON object")


def _csv_batches(split: TableSplit, content: bytes, columns: Sequence[Column], names: Sequence[str]) -> Iterator[Rows]:
    # What is no text in this encoding becomes lone surrogates, which no record may hold.
    text = content.decode(split.encoding, "surrogateescape")
    # An optional column may lack in one file of several.
    places = {name: split.header.index(name) for name in names if name in split.header}
    parsers = {column.name: _PARSERS[column.type] for column in columns if column.type in _PARSERS}
    optional = {column.name for column in columns if not column.required}
    rows = _rows_by_feeds(text, split.delimiter) if _LONE_RETURN.search(text) else csv_rows(text, split.delimiter)
    while batch := list(islice(rows, BATCH_ROWS)):
        if set(map(len, batch)) == {len(split.header)} and not parsers and not optional:
            yield RecordColumns({name: list(map(itemgetter(place), batch)) for name, place in places.items()}, len(batch))
        else:
            yield [_csv_row(cells, places, len(split.header), parsers, optional) for cells in batch]


def _rows_by_feeds(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of CSV that holds lone carriage returns, cut at line feeds outside quotes, as `byte_ranges` counts them."""
    lines: list[str] = []
    quoted = False
    for line in io.StringIO(text, newline="\n"):
        lines.append(line)
        quoted ^= line.count('"') % 2 == 1
        if not quoted:
            yield _one_row("".join(lines), delimiter)
            lines.clear()


def _one_row(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv_rows(text, delimiter, newline="\n"), [])
    except csv.Error:
        return _LONE_RETURN_ROW


def _csv_row(
    cells: Sequence[str], places: Mapping[str, int], width: int, parsers: Mapping[str, Callable[[str], object]], optional: Set[str]
) -> Row:
    if cells is _LONE_RETURN_ROW:
        return RowFault("holds a carriage return or a quote that must stand within quotes")
    if len(cells) != width:
        return RowFault(f"has {len(cells)} cells, and the header has {width}" if cells else "is blank")
    return {name: _value(cells[place], parsers.get(name), optional=name in optional) for name, place in places.items()}


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.strip().lower()]


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "boolean": _boolean,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
}


def _value(cell: str, parse: Callable[[str], object] | None, *, optional: bool) -> object:
    """Return a cell as the value of its column; as it is where it is none, which the check of the record then says."""
    if optional and not cell:
        return None
    if parse is None:
        return cell
    try:
        return parse(cell)
    except (ValueError, KeyError):
        return cell


def _parquet_rows(split: TableSplit, names: Sequence[str]) -> Iterator[Rows]:
    before, left = split.skipped, split.rows
    try:
        # Without `pre_buffer` the row group is read a piece at a time.
        with split.file.open() as file, ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as table:
            for batch in table.iter_batches(BATCH_ROWS, row_groups=[split.group], columns=list(names)):
                skipped = min(before, batch.num_rows)
                before -= skipped
                part = batch.slice(skipped, min(left, batch.num_rows - skipped))
                if part.num_rows:
                    yield _arrow_rows(part)
                left -= part.num_rows
                if not left:
                    return
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{split.file.name} cannot be read as Parquet: a page of row group {split.group} is damaged or encrypted"
        ) from error


def _arrow_rows(batch: pa.RecordBatch) -> Rows:
    if sum(_unpacked_bytes(column) for column in batch.columns) > _MOST_CELL_BYTES:
        if batch.num_rows == 1:
            return [RowFault(f"holds a cell of more than {_MOST_CELL_BYTES >> 20} MiB")]
        middle = batch.num_rows // 2
        return [*_arrow_rows(batch.slice(0, middle)), *_arrow_rows(batch.slice(middle))]
    columns = {name: _cells(batch.column(place)) for place, name in enumerate(batch.schema.names)}
    if not any(isinstance(cell, _Unreadable) for cells in columns.values() for cell in cells):
        return RecordColumns(columns, batch.num_rows)
    return [_readable(dict(zip(columns, cells, strict=True))) for cells in zip(*columns.values(), strict=True)]


def _unpacked_bytes(column: pa.Array) -> int:
    """Return how large the cells of a column are; a dictionary counts with the values that its cells have, as often as they have them."""
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    kind = column.type.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return int(column.indices.nbytes)
    return int(pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0)


@dataclass(frozen=True)
class _Unreadable:
    """In the place of a cell that Python has no value for, and why its row is refused."""

    reason: str


def _cells(column: pa.Array) -> Sequence[object]:
    """Return the values of a column: a year beyond 9999 and a text that is not UTF-8 have none, and Arrow reads no file for that."""
    try:
        return cast("list[object]", column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        return [_cell(scalar) for scalar in column]


def _cell(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return _Unreadable("is not valid Unicode")
    except (ValueError, OverflowError, pa.ArrowException):
        return _Unreadable("holds a value that cannot be read")


def _readable(cells: Mapping[str, object]) -> Row:
    wrong = next(((name, cell) for name, cell in cells.items() if isinstance(cell, _Unreadable)), None)
    return cells if wrong is None else RowFault(wrong[1].reason, wrong[0])

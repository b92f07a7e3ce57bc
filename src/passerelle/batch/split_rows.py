"""The rows of a split, a few at a time, as their formats hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa
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
    rows = csv_rows(text, split.delimiter)
    while batch := list(islice(rows, BATCH_ROWS)):
        if set(map(len, batch)) == {len(split.header)} and not parsers and not optional:
            yield RecordColumns({name: list(map(itemgetter(place), batch)) for name, place in places.items()}, len(batch))
        else:
            yield [_csv_row(cells, places, len(split.header), parsers, optional) for cells in batch]


def _csv_row(
    cells: Sequence[str], places: Mapping[str, int], width: int, parsers: Mapping[str, Callable[[str], object]], optional: Set[str]
) -> Row:
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
        raise DataError(f"{split.file.name} cannot be read as Parquet: a page of row group {split.group} is damaged") from error


def _arrow_rows(batch: pa.RecordBatch) -> Rows:
    if batch.nbytes <= _MOST_CELL_BYTES:
        return RecordColumns({name: batch.column(place).to_pylist() for place, name in enumerate(batch.schema.names)}, batch.num_rows)
    if batch.num_rows == 1:
        return [RowFault(f"holds a cell of more than {_MOST_CELL_BYTES >> 20} MiB")]
    middle = batch.num_rows // 2
    return [*_arrow_rows(batch.slice(0, middle)), *_arrow_rows(batch.slice(middle))]

"""The files of the output: written in a format, and counted again by a run that goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection

import orjson
import pyarrow as pa
from pyarrow.csv import write_csv
from pyarrow.parquet import read_metadata, write_table

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


def scored_rows_of(content: bytes, kind: str) -> int:
    """Return how many rows a scored file has.

    Raises:
        DataError: It is none.
    """
    try:
        if kind == "parquet":
            return int(read_metadata(io.BytesIO(content)).num_rows)
        if kind == "jsonl":
            return content.count(b"\n")
        # A row that was torn is none, as a line of JSON without its end.
        return sum(1 for _ in csv_rows(content[: content.rfind(b"\n") + 1].decode())) - 1
    except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
        raise DataError("it is not a file that score wrote") from error

"""Rows of the log in Arrow: schemas, Parquet of any age read as today's columns, and rows left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow.parquet import ParquetFile

from passerelle.errors import OutsideError
from passerelle.monitoring.prediction_log.trees import Tree

#: Most rows of one batch.
BATCH_ROWS = 65_536


def schema_of(tree: Tree, columns: Sequence[str] | None = None) -> pa.Schema:
    """Return the columns of a tree as Arrow's schema."""
    return pa.schema([(name, pa.type_for_alias(tree.columns[name])) for name in columns or tree.columns])


def table_of(tree: Tree, rows: Sequence[Sequence[object]]) -> pa.Table:
    """Return parsed rows as a table."""
    schema = schema_of(tree)
    cells = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.Table.from_arrays([pa.array(each, kind) for each, kind in zip(cells, schema.types, strict=True)], schema=schema)


def parquet_file(file: BinaryIO, name: str) -> ParquetFile:
    """Return an open file as Parquet.

    Raises:
        OutsideError: It is none.
    """
    try:
        return ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        message = (
            f"{name} in the prediction log is damaged and cannot be read as Parquet; restore it from a backup, or move it out of the log"
        )
        raise OutsideError(message) from error


def rows_of(tree: Tree, files: Sequence[ParquetFile], tables: Sequence[pa.Table], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield these columns of all rows, of the files first; what a file lacks is null."""
    for file in files:
        stored = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=stored):
            yield _completed(tree, batch, columns)
    for table in tables:
        yield from table.select(list(columns)).combine_chunks().to_batches(max_chunksize=BATCH_ROWS)


def _completed(tree: Tree, batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    schema = schema_of(tree, columns)
    if batch.schema.equals(schema):
        return batch
    arrays = [
        batch.column(field.name).cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def repeated_rows(tree: Tree, files: Sequence[ParquetFile], tables: Sequence[pa.Table]) -> NDArray[np.bool_]:
    """Return, for each row in the order of `rows_of`, whether a row before it has the same key."""
    keys = []
    for batch in rows_of(tree, files, tables, tree.key):
        parts = [pc.fill_null(batch.column(name), "") for name in tree.key]
        keys.append(parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x00"))
    if not keys:
        return np.zeros(0, bool)
    codes = pa.chunked_array(keys, pa.string()).combine_chunks().dictionary_encode().indices.to_numpy()
    repeated = np.ones(len(codes), bool)
    repeated[np.unique(codes, return_index=True)[1]] = False
    return repeated


def filtered(batch: pa.RecordBatch, keep: NDArray[np.bool_]) -> pa.RecordBatch:
    """Return the rows of a batch that are kept."""
    return batch if keep.all() else batch.filter(pa.array(keep))


def without_ids(batch: pa.RecordBatch, ids: frozenset[str]) -> pa.RecordBatch:
    """Return the rows of a batch, or of a table, without those of these answers."""
    erased = pc.is_in(batch.column("prediction_id"), value_set=pa.array(sorted(ids), pa.string()))
    return batch.filter(pc.invert(erased)) if pc.any(erased).as_py() else batch

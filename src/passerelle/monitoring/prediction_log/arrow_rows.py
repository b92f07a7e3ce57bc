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


class DamagedParquetError(OutsideError):
    """A file of the log is not the Parquet that its name says."""


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
        DamagedParquetError: It is none.
    """
    try:
        return ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        message = (
            f"{name} in the prediction log is damaged and cannot be read as Parquet; restore it from a backup, or move it out of the log"
        )
        raise DamagedParquetError(message) from error


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
    batches = rows_of(tree, files, tables, tree.key)
    if tree.key == ("prediction_id",):
        return _repeated_ids(np.concatenate([np.zeros((0, 2), np.uint64), *(_packed_ids(batch.column(0), tree) for batch in batches)]))
    keys = [pc.binary_join_element_wise(*(pc.fill_null(part, "") for part in batch.columns), "\x00") for batch in batches]
    codes = pa.chunked_array(keys, pa.string()).combine_chunks().dictionary_encode().indices.to_numpy()
    repeated = np.ones(len(codes), bool)
    repeated[np.unique(codes, return_index=True)[1]] = False
    return repeated


def _packed_ids(ids: pa.Array, tree: Tree) -> NDArray[np.uint64]:
    """Return ids as their two halves of 64 bits: an array of two columns, which takes a third of the text's memory."""
    try:
        packed = bytes.fromhex("".join(ids.to_pylist()).replace("-", ""))
        return np.frombuffer(packed, ">u8").astype(np.uint64).reshape(len(ids), 2)
    except (TypeError, ValueError) as error:
        message = f"a file of {tree.folder} in the prediction log holds a prediction_id that is none; passerelle did not write it"
        raise OutsideError(message) from error


def _repeated_ids(halves: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return, for each id, whether it stands further up."""
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    before, after = order[:-1], order[1:]
    repeated = np.zeros(len(halves), bool)
    # The sort is stable: of equal ids, the first one stands first.
    repeated[after] = (halves[before] == halves[after]).all(axis=1)
    return repeated


def filtered(batch: pa.RecordBatch, keep: NDArray[np.bool_]) -> pa.RecordBatch:
    """Return the rows of a batch that are kept."""
    return batch if keep.all() else batch.filter(pa.array(keep))


def without_ids(batch: pa.RecordBatch, ids: frozenset[str]) -> pa.RecordBatch:
    """Return the rows of a batch, or of a table, without those of these answers."""
    erased = pc.is_in(batch.column("prediction_id"), value_set=pa.array(sorted(ids), pa.string()))
    return batch.filter(pc.invert(erased)) if pc.any(erased).as_py() else batch

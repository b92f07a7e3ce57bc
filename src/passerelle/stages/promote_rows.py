"""The labelled rows that `promote --held-out` names: a file, or a dataset of the run that logged the model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow import ArrowException

from passerelle.errors import DataError, NotFoundError, UsageError
from passerelle.gate.labelled_rows import MOST_ROWS, LabelledRows
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.run_datasets import RunDataset, datasets_of, download_file
from passerelle.stages.held_out_file import DATASET
from passerelle.training.reading import read_table

#: Of a file of rows, and of a Parquet file once it is unpacked.
_MOST_BYTES = 256 << 20
_MOST_UNPACKED_BYTES = 1 << 30
_AGAIN = "passerelle promote --held-out FILE --label COLUMN"
_LOCAL = "file://"
#: The context in which autologging names the rows that a model learned from.
_LEARNED_FROM = "training"


def labelled_rows(registry: Registry, ref: ModelVersionRef, held_out: str, labels: tuple[str, ...]) -> LabelledRows:
    """Return the rows that were named.

    Args:
        held_out: Path of a CSV or Parquet file, or `dataset:NAME`.
        labels: Columns of the right answer.

    Raises:
        DataError: The file is not there, is too large, cannot be read, or lacks a column.
        NotFoundError: The run has no such dataset, or names no file of it.
        UsageError: The dataset is what the model learned from.
    """
    if not held_out.startswith(DATASET):
        return read_rows(Path(held_out), labels, source=Path(held_out).name)
    dataset = _dataset(registry, ref, held_out.removeprefix(DATASET))
    if "://" not in dataset.uri or dataset.uri.startswith(_LOCAL):
        return read_rows(Path(dataset.uri.removeprefix(_LOCAL)), labels, source=held_out)
    with tempfile.TemporaryDirectory(prefix="passerelle-rows-") as folder:
        return read_rows(download_file(registry, dataset.uri, Path(folder)), labels, source=held_out)


def read_rows(path: Path, labels: tuple[str, ...], *, source: str) -> LabelledRows:
    """Return the rows of a file, in the dialects that `train` reads.

    Raises:
        DataError: As `labelled_rows`.
    """
    try:
        typed = _bounded(path)
        table, notes = read_table(path, labels)
    except DataError as error:
        raise DataError(error.message, hint=_AGAIN) from error
    return LabelledRows(table, labels, source, typed, notes)


def _bounded(path: Path) -> bool:
    """Return whether the file is a Parquet file, once its size and what it unpacks to are within bounds."""
    try:
        with path.open("rb") as file:
            typed = file.read(4) == b"PAR1"
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint=_AGAIN) from error
    if size > _MOST_BYTES:
        raise DataError(f"{path} has {size >> 20:,} MiB, and the gate takes {_MOST_BYTES >> 20} at most: give a sample", hint=_AGAIN)
    if typed:
        try:
            found = pq.read_metadata(path)
        except (ArrowException, OSError) as error:
            raise DataError(f"{path} is not a Parquet file that can be read", hint=_AGAIN) from error
        unpacked = sum(found.row_group(place).total_byte_size for place in range(found.num_row_groups))
        if found.num_rows > MOST_ROWS or unpacked > _MOST_UNPACKED_BYTES:
            message = f"{path} holds {found.num_rows:,} rows of {unpacked >> 20:,} MiB, and the gate takes {MOST_ROWS:,} rows at most"
            raise DataError(f"{message}, of {_MOST_UNPACKED_BYTES >> 20:,} MiB: give a sample", hint=_AGAIN)
    return typed


def _dataset(registry: Registry, ref: ModelVersionRef, name: str) -> RunDataset:
    run_id = registry.model_version(ref.registered_model, ref.version).logged_by or ref.run_id
    datasets = datasets_of(registry, run_id)
    found = [each for each in datasets if each.name == name]
    if not found:
        there = ", ".join(f"'{each.name}'" for each in datasets) or "none"
        raise NotFoundError(f"the run {run_id} has no dataset '{name}': it has {there}", hint=_AGAIN)
    if all(each.context == _LEARNED_FROM for each in found):
        raise UsageError(f"the model of {ref} learned from the dataset '{name}' of its run, by which it cannot be judged", hint=_AGAIN)
    chosen = next(each for each in found if each.context != _LEARNED_FROM)
    if not chosen.uri:
        raise NotFoundError(f"the run {run_id} names no file of its dataset '{name}'", hint=_AGAIN)
    return chosen

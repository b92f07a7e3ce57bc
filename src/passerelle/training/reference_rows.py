"""Rows of the data that are near-duplicates of a reference test set are left out: no training sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from passerelle.errors import DataError, UsageError
from passerelle.gate.near_duplicates import groups_of_rows, groups_of_texts
from passerelle.gate.reference import ReferenceRows
from passerelle.training.dataset import Dataset, digest_of, joined_texts


@dataclass(frozen=True)
class LeftOut:
    """What a training did about the reference, as its runs keep it.

    Attributes:
        digest: Of the reference.
        left_out: Rows of the data that were left out.
        contradicting: Those among them that have another label than every near-duplicate in the reference.
    """

    digest: str
    left_out: int
    contradicting: int


def without_reference(data: Dataset, reference: ReferenceRows, *, similarity: float) -> tuple[Dataset, LeftOut, tuple[str, ...]]:
    """Return the data without near-duplicates of the reference, what was left out, and a note on it.

    Raises:
        UsageError: The reference lacks a column of the data.
        DataError: Fewer than two classes are left, or the reference has no label of the data.
    """
    columns, rows = list(data.records.columns), reference.rows
    missing = [name for name in columns if name not in rows.table]
    if missing:
        message = f"{rows.source} has no column '{missing[0]}', which the records of {data.source} have"
        raise UsageError(f"{message}; held_out.reference.text_column names the column of the text", hint="cat training/criteria.yaml")
    truth = rows.table[rows.labels[0]].astype(str).str.strip().to_numpy()
    if not set(truth) & set(data.classes):
        raise DataError(f"{rows.source} has no label of {data.source}", hint="cat training/criteria.yaml")
    groups = _groups(data, rows.table[columns], similarity)
    ours, theirs = groups[: len(data.records)], groups[len(data.records) :]
    near = np.isin(ours, theirs)
    allowed: dict[int, set[str]] = {}
    for group, label in zip(theirs.tolist(), truth.tolist(), strict=True):
        allowed.setdefault(group, set()).add(label)
    against = sum(label not in allowed[group] for group, label in zip(ours[near].tolist(), data.labels[near], strict=True))
    left_out = LeftOut(reference.digest, int(near.sum()), int(against))
    if not near.any():
        return data, left_out, ()
    keep = ~near
    found = replace(data, records=data.records[keep].reset_index(drop=True), labels=data.labels[keep].reset_index(drop=True))
    if len(found.classes) < 2:  # noqa: PLR2004 - a choice is between two
        message = f"{data.source}: nothing is left to learn from without the rows of {rows.source}"
        raise DataError(message, hint="cat training/criteria.yaml")
    labelled = f", {left_out.contradicting:,} of them with another label" if left_out.contradicting else ""
    note = f"near-duplicates of {rows.source} are left out: {left_out.left_out:,} of {len(data.records):,} rows{labelled}"
    return replace(found, digest=digest_of(found.records, found.labels)), left_out, (note,)


def _groups(data: Dataset, others: pd.DataFrame, similarity: float) -> NDArray[np.int64]:
    """Return the group number of each record and then of each of the others."""
    if data.kind == "tabular":
        # Cells of a CSV file are texts: each column gets the type that it has in the data.
        return groups_of_rows(pd.concat([data.records, others.astype(data.records.dtypes.to_dict())], ignore_index=True))
    return groups_of_texts([*data.joined_texts, *joined_texts(others.astype(str))], similarity=similarity)

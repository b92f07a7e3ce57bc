"""A reference test set of a team's own, pinned by its digest: read, checked, and compared with what was learned from."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from passerelle.criteria import Reference
from passerelle.errors import DataError, IntegrityError
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.gate.near_duplicates import SIMILARITY, groups_of_rows, groups_of_texts

#: Fewer tell nothing: with 30 rows, a model that is right in 60 % may be right in 42 or in 77 %.
FEWEST_ROWS = 30
_AGAIN = "cat training/criteria.yaml"


@dataclass(frozen=True)
class ReferenceRows:
    """The reference test set.

    Attributes:
        rows: With the fields of a record and the label, under their names in the model's signature.
        digest: Of the file.
    """

    rows: LabelledRows
    digest: str


def checked(rule: Reference, rows: LabelledRows, *, digest: str, least: int) -> ReferenceRows:
    """Return the rows of the file that the criteria pin.

    Args:
        rows: Of the file.
        digest: Of the file as it is.
        least: Rows that the criteria ask for.

    Raises:
        IntegrityError: It is another file than the one that the criteria pin.
        DataError: It has too few rows, or lacks a column.
    """
    if digest != rule.digest:
        message = f"the reference {rule.file} is not the file that the criteria pin: its digest is {digest}, theirs {rule.digest}"
        raise IntegrityError(f"{message}; a new reference is a decision: write its digest into held_out.reference", hint=_AGAIN)
    table = rows.table
    for column in (rule.label, *([rule.text_column] if rule.text_column else [])):
        if column not in table:
            close = difflib.get_close_matches(column, map(str, table.columns), n=1)
            meant = f" (did you mean '{close[0]}'?)" if close else ""
            raise DataError(f"the reference {rule.file} has no column '{column}'{meant}", hint=_AGAIN)
    if (needed := max(least, FEWEST_ROWS)) > len(table):
        raise DataError(f"the reference {rule.file} has {len(table)} rows, and at least {needed} are needed to tell anything", hint=_AGAIN)
    if rule.text_column:
        table = table.rename(columns={rule.text_column: "text"})
    return ReferenceRows(LabelledRows(table, rows.labels, f"the reference {rule.file}", rows.typed, rows.notes), digest)


def near_to(records: pd.DataFrame, others: pd.DataFrame, *, similarity: float = SIMILARITY) -> NDArray[np.bool_]:
    """Return which records are near-duplicates of one of the others: texts by their n-grams, rows of a table where they are equal."""
    columns = list(records.columns)
    if not len(others) or not set(columns) <= set(others.columns):
        return np.zeros(len(records), dtype=np.bool_)
    both = pd.concat([records, others[columns]], ignore_index=True)
    only_texts = all(isinstance(value, str) for name in columns for value in both[name])
    groups = groups_of_texts(list(both.agg(" ".join, axis=1)), similarity=similarity) if only_texts else groups_of_rows(both)
    return np.isin(groups[: len(records)], groups[len(records) :])

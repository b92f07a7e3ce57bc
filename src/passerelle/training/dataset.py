"""The records to learn from: read, checked, and named by a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from passerelle.errors import DataError, UsageError
from passerelle.model.text_limits import text_fault
from passerelle.training.feedback_table import FeedbackExport, read_description
from passerelle.training.reading import read_table

#: The only field of a text record, whatever the name of its column in the file.
TEXT = "text"
_ROWS_NAMED = 5


@dataclass(frozen=True)
class Dataset:
    """Records and their labels.

    Attributes:
        records: One row a record; the single column `text`, or the feature columns of a table.
        labels: One string a record, with the same index.
        digest: `sha256:…` of the records and labels in their order, whatever the file's encoding was.
        source: The file's name, without its folder.
        kind: Whether a record is a text or a row of features.
        notes: What was assumed about the file, one sentence each.
        export: What is said of it where it is an unchanged export of corrected answers.
    """

    records: pd.DataFrame
    labels: pd.Series
    digest: str
    source: str
    kind: Literal["text", "tabular"]
    notes: tuple[str, ...] = ()
    export: FeedbackExport | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the alphabet."""
        return tuple(sorted(set(self.labels)))


def read_data(
    path: Path,
    *,
    text_column: str | None,
    label_column: str,
    feature_columns: Sequence[str] | None = None,
    drop_missing: bool = False,
    sheet: str | None = None,
) -> Dataset:
    """Return the records of a file that `read_table` reads.

    Args:
        path: Read by `read_table`, with the sheet. Byte-order mark, Windows-1252 (Latin-1) and other separators are recognised and noted.
        text_column: Column of the text; named `text` in the records.
        label_column: Column of the class.
        feature_columns: Columns of a table without text, in place of `text_column`.
        drop_missing: Leave rows without text, feature or class, and texts that the service refuses, out instead of refusing the file.

    Raises:
        DataError: The file or a column is absent, empty, unreadable, or holds one class only.
        UsageError: The columns contradict each other.
    """
    columns = _columns(path, text_column, label_column, feature_columns)
    table, notes = read_table(path, [*columns, label_column], sheet=sheet)
    table = table[[*columns, label_column]]
    if text_column is not None:
        _check_is_text(path, table[text_column])
    table, dropped = _complete(path, table, drop_missing=drop_missing)
    if text_column is not None:
        table, faulty = _bounded(path, table, text_column, drop=drop_missing)
        dropped = (*dropped, *faulty)
    labels = _labels(path, table[label_column])
    if text_column is not None:
        records = pd.DataFrame({TEXT: table[text_column].astype(str)})
    else:
        records = pd.DataFrame({name: _feature(table[name]) for name in columns})
    kind: Literal["text", "tabular"] = "text" if text_column is not None else "tabular"
    export, of_export = read_description(path)
    noted = (*notes, *([of_export] if of_export else []), *dropped, *_contradictions(records, labels))
    return Dataset(records, labels, digest_of(records, labels), path.name, kind, noted, export)


def digest_of(records: pd.DataFrame, labels: pd.Series) -> str:
    """Return `sha256:…` of the fields' names, the records and the labels, in their order."""
    digest = hashlib.sha256(json.dumps(list(records.columns), ensure_ascii=False).encode())
    for row, label in zip(records.to_dict(orient="split")["data"], labels, strict=True):
        line = json.dumps([*row, label], ensure_ascii=False, default=str)
        digest.update(b"\n" + line.encode("utf-8", "surrogatepass"))
    return f"sha256:{digest.hexdigest()}"


def _columns(path: Path, text_column: str | None, label_column: str, feature_columns: Sequence[str] | None) -> list[str]:
    columns = [text_column] if text_column is not None else list(feature_columns or ())
    usage = f"passerelle train --data {path} --text-column COLUMN --label-column COLUMN"
    if not columns:
        raise UsageError(
            f"no column of {path} is named to learn from",
            hint=f"{usage}\npasserelle train --data {path} --feature-column COLUMN --label-column COLUMN",
        )
    if text_column is not None and feature_columns:
        raise UsageError("a text column and feature columns are both given", hint=usage)
    if label_column in columns:
        raise UsageError(f"« {label_column} » is both the class and what it is learned from", hint=usage)
    if len(set(columns)) < len(columns):
        raise UsageError("a feature column is given twice", hint=usage)
    return columns


def _is_blank(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.isna()
    return column.isna() | (column.astype(str).str.strip() == "")


def _check_is_text(path: Path, column: pd.Series) -> None:
    if not all(isinstance(value, str) for value in column.dropna()):
        raise DataError(
            f"{path}: the column « {column.name} » holds {column.dtype}, not text",
            hint=f"passerelle train --data {path} --text-column COLUMN\npasserelle train --data {path} --feature-column COLUMN",
        )


def _check_not_all_blank(path: Path, blank: pd.DataFrame) -> None:
    for name in blank.columns:
        if blank[name].all():
            raise DataError(
                f"{path}: the column « {name} » is empty",
                hint=f"passerelle train --data {path} --text-column COLUMN",
            )


def _complete(path: Path, table: pd.DataFrame, *, drop_missing: bool) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows without missing values, with a new index; raise DataError where there are others and `drop_missing` is not set."""
    blank = table.apply(_is_blank)
    _check_not_all_blank(path, blank)
    gaps = blank.any(axis=1)
    if not gaps.any():
        return table.reset_index(drop=True), ()
    if drop_missing:
        if gaps.all():
            raise DataError(f"{path}: every row misses a value", hint=f"passerelle train --data {path} --feature-column COLUMN")
        return table[~gaps].reset_index(drop=True), (f"{int(gaps.sum())} of {len(table)} rows miss a value and are left out",)
    name = next(name for name in blank.columns if blank[name].any())
    raise DataError(
        f"{path}: the column « {name} » is empty in {int(blank[name].sum())} of {len(table)} rows: {_named(blank[name])}",
        hint=f"passerelle train --data {path} --drop-missing",
    )


def _bounded(path: Path, table: pd.DataFrame, column: str, *, drop: bool) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows whose text the service accepts, with a new index; raise DataError if there are others and they are not dropped."""
    faults = table[column].map(text_fault)
    faulty = faults.notna()
    if not faulty.any():
        return table, ()
    if drop and not faulty.all():
        return table[~faulty].reset_index(drop=True), (
            f"{int(faulty.sum())} of {len(table)} rows have a text that the service refuses and are left out",
        )
    raise DataError(
        f"{path}: the service refuses the text of {int(faulty.sum())} of {len(table)} rows: {_named(faulty)}; "
        f"the first {faults[faulty].iloc[0]}",
        hint=f"passerelle train --data {path} --drop-missing",
    )


def _named(chosen: pd.Series) -> str:
    """Return the numbers of the first chosen rows, counted as in a spreadsheet."""
    rows = [row + 2 for row in chosen.index[chosen]]
    return ", ".join(map(str, rows[:_ROWS_NAMED])) + (", …" if len(rows) > _ROWS_NAMED else "") + " (the header is row 1)"


def _labels(path: Path, column: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(column.dtype) and (column == column.round()).all():
        column = column.astype("int64")
    labels = column.astype(str).str.strip().rename("label")
    if labels.nunique() < 2:  # noqa: PLR2004 - a choice is between two
        raise DataError(
            f"{path}: the column « {column.name} » holds one class only, « {labels.iloc[0]} »",
            hint=f"passerelle train --data {path} --label-column COLUMN",
        )
    return labels


def _feature(column: pd.Series) -> pd.Series:
    """Return numbers as float64 (a decimal comma is understood), truth values and words unchanged."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.astype(bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype("float64")
    texts = column.astype(str).str.strip()
    for written in (texts, texts.str.replace(",", ".", regex=False)):
        numbers = pd.to_numeric(written, errors="coerce")
        if numbers.notna().all():
            return numbers.astype("float64")
    return texts


def _contradictions(records: pd.DataFrame, labels: pd.Series) -> tuple[str, ...]:
    """Say how many records occur with more than one class."""
    columns = list(records.columns)
    by_record = records.assign(label=labels.to_numpy()).groupby(columns, sort=False)["label"].nunique()
    contradicting = int((by_record > 1).sum())
    return (f"{contradicting} records appear with more than one class",) if contradicting else ()

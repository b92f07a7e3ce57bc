"""Labelled rows that an operator gives to judge a version by, held to the version's signature."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from passerelle.errors import DataError
from passerelle.model.record import Column

#: More tell nothing more, and each is predicted by both models.
MOST_ROWS = 200_000
_AGAIN = "passerelle promote --held-out FILE --label COLUMN"
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class LabelledRows:
    """Rows with their right answers.

    Attributes:
        table: As the file has it; once it `fits`, the columns of the signature and of the labels alone.
        labels: Columns of the right answer: one, or one for each label or output of a model that gives several.
        source: What the rows came from, for messages and the report.
        typed: Whether the file keeps types; every cell of a CSV file is a text.
        notes: What was assumed, a sentence each.
    """

    table: pd.DataFrame
    labels: tuple[str, ...]
    source: str
    typed: bool
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> pd.DataFrame:
        """The rows without their right answers."""
        return self.table.drop(columns=list(self.labels))

    @property
    def answers(self) -> pd.DataFrame:
        """The right answers, a column for each of `labels`, in Python's types."""
        return self.table[list(self.labels)].astype(object)

    def content(self) -> bytes:
        """Return the rows as a Parquet file."""
        target = io.BytesIO()
        self.table.to_parquet(target, index=False)
        return target.getvalue()


def digest_of_rows(content: bytes) -> str:
    """Return the digest of a file of rows."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def fitted(rows: LabelledRows, columns: Sequence[Column]) -> LabelledRows:
    """Return the rows with the columns of the signature, each of its type.

    Raises:
        DataError: A column is absent, empty or of another type, a right answer is missing, or there are too many rows.
    """
    table, names = rows.table, [column.name for column in columns]
    if len(table) > MOST_ROWS:
        raise DataError(f"{rows.source} has {len(table):,} rows, and the gate takes {MOST_ROWS:,} at most: give a sample", hint=_AGAIN)
    twice = next((label for label in rows.labels if label in names), None)
    if twice is not None:
        message = f"the column '{twice}' is in the model's signature, and cannot be the right answer of {rows.source}"
        raise DataError(f"{message}; adopt the model again with --drop-column {twice} if no record has it", hint=_AGAIN)
    missing = [column.name for column in columns if column.required and column.name not in table]
    missing += [label for label in rows.labels if label not in table]
    if missing:
        there = ", ".join(f"'{name}'" for name in table.columns[:20])
        lacking = ", ".join(f"'{name}'" for name in missing)
        needed = "it needs the columns of the model's signature and of the right answer by their names: rename those that have others"
        raise DataError(f"{rows.source} lacks {lacking}, it has {there}; {needed}", hint=_AGAIN)
    if table.columns.has_duplicates:
        double = ", ".join(f"'{name}'" for name in table.columns[table.columns.duplicated()].unique()[:5])
        raise DataError(f"{rows.source} has several columns {double}; rename all but one", hint=_AGAIN)
    for label in rows.labels:
        if (empty := table[label].map(_is_missing)).any():
            where = f"'{label}', is empty in {int(empty.sum())} of {len(table)} rows"
            raise DataError(f"{rows.source}: the right answer, {where}", hint=_AGAIN)
    extra = [str(name) for name in table.columns if name not in {*names, *rows.labels}]
    notes = (f"not in the model's signature, and left out: {', '.join(extra)}",) if extra else ()
    kept = {column.name: _typed(rows, table[column.name], column) for column in columns if column.name in table}
    kept |= {column.name: pd.Series([""] * len(table)) for column in columns if column.empty_without and column.name not in table}
    answers = {label: table[label] for label in rows.labels}
    return replace(rows, table=pd.DataFrame({**kept, **answers}).reset_index(drop=True), notes=(*rows.notes, *notes))


def dictionaries(records: pd.DataFrame) -> list[dict[str, object]]:
    """Return each record as an object, with None for what is missing."""
    return [
        {str(name): None if _is_missing(value) else value for name, value in record.items()} for record in records.to_dict(orient="records")
    ]


def _typed(rows: LabelledRows, values: pd.Series, column: Column) -> pd.Series:
    missing = values.map(_is_missing).astype(bool)
    if column.required and missing.any() and column.type not in {"float", "double"}:
        raise DataError(f"{rows.source}: the column '{column.name}' is empty in {int(missing.sum())} of {len(values)} rows", hint=_AGAIN)
    convert = _CONVERTERS.get(column.type, _as_json)
    converted: list[object] = []
    for place, (value, absent) in enumerate(zip(values.tolist(), missing.tolist(), strict=True)):
        try:
            converted.append(None if absent else convert(value, rows.typed))
        except (ValueError, TypeError, OverflowError):
            message = f"{rows.source}: row {place + 2} of the column '{column.name}' is not of the signature's type, {column.type}"
            raise DataError(f"{message} (the header is row 1)", hint=_AGAIN) from None
    if column.type in {"float", "double"}:
        return pd.Series(converted, dtype="float64")
    if column.type in {"integer", "long"}:
        return pd.Series(converted, dtype="Int64" if missing.any() else "int64")
    if column.type == "boolean" and not missing.any():
        return pd.Series(converted, dtype=bool)
    return pd.Series(["" if value is None and column.empty_without else value for value in converted], dtype=object)


def _text(value: object, _: bool) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _boolean(value: object, typed: bool) -> bool:
    if isinstance(value, bool):
        return value
    if typed or not isinstance(value, str):
        raise TypeError("not a truth value")
    if value.strip().lower() not in _WORDS:
        raise ValueError("not a truth value")
    return _WORDS[value.strip().lower()]


def _number(value: object, typed: bool) -> float:
    if isinstance(value, str) and not typed:
        return float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)


def _integer(value: object, typed: bool) -> int:
    if isinstance(value, str) and not typed:
        return int(value)
    number = _number(value, typed)
    if number != int(number):
        raise ValueError("not an integer")
    return int(value) if isinstance(value, int) else int(number)


def _as_json(value: object, _: bool) -> object:
    """Return a value of the other types as an HTTP request has it: ISO 8601, Base64, a list."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.tolist() if isinstance(value, np.ndarray) else value


def _is_missing(value: object) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124 - NaN


_CONVERTERS: Mapping[str, Callable[[object, bool], object]] = {
    "string": _text,
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "float": _number,
    "double": _number,
}

"""From the typed cells of a workbook or of JSON to the strings that the same table has as CSV."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence

import pandas as pd


def column_of(values: Sequence[object]) -> pd.Series:
    """Return a column: truth values as they are, anything else as strings, and None where a cell is empty."""
    if values and all(isinstance(value, bool) for value in values):
        return pd.Series(values, dtype=bool)
    return pd.Series([cell_text(value) for value in values], dtype=object)


def cell_text(value: object) -> str | None:
    """Return a cell as a spreadsheet writes it to CSV, but for dates, which are ISO 8601; None for an empty one."""
    match value:
        case None | "":
            return None
        case str():
            return value
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - more has no exact float
        case datetime.datetime():
            return value.isoformat() if value.time() != datetime.time() else value.date().isoformat()
        case datetime.date() | datetime.time():
            return value.isoformat()
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)

"""From the typed cells of a workbook or of JSON to the strings that the same table has as CSV."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence

import pandas as pd

#: Above it, a float holds no digits behind the point.
_EXACT = 1e15


def column_of(values: Sequence[object]) -> pd.Series:
    """Return a column: truth values as they are, anything else as strings, and None where a cell is empty."""
    if values and all(isinstance(value, bool) for value in values):
        return pd.Series(values, dtype=bool)
    return pd.Series([cell_text(value) for value in values], dtype=object)


def cell_text(value: object) -> str | None:
    """Return a cell as a spreadsheet writes it to CSV, but for dates, which are ISO 8601; None for an empty one."""
    if value is None or value == "":
        return None
    match value:
        case bool():
            text = str(value).lower()
        case float():
            text = str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
        case datetime.datetime():
            text = value.isoformat() if value.time() != datetime.time() else value.date().isoformat()
        case datetime.date() | datetime.time():
            text = value.isoformat()
        case dict() | list():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            text = str(value)
    return text

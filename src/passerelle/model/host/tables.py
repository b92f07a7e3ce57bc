"""From records, as JSON has them, to what a model takes: each column with the type that its training saw."""

from __future__ import annotations

import base64
import math
from typing import Callable

from passerelle.model.host.values import Foreign, decoded, is_missing

#: The types of numbers in a signature, and numpy's.
_NUMBERS = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
_NAN = math.nan
Column = Callable[["list[object]"], Foreign]


class Tables:
    """Makes what the model takes of records.

    Args:
        inputs: The columns of the signature, each with `name` and `type`.
        form: `table`, or the one text column as `list`, `series` or `array`.

    Attributes:
        names: Of the columns.
        numeric: Whether all columns are numbers or booleans.
        plain: Whether all columns are numbers, booleans or texts.
    """

    def __init__(self, inputs: list[dict[str, object]], form: str) -> None:
        self.names = [str(each.get("name", place)) for place, each in enumerate(inputs)]
        types = [str(each.get("type", "")) for each in inputs]
        self.numeric = form == "table" and bool(types) and all(each in _NUMBERS for each in types)
        self.plain = form == "table" and bool(types) and all(each in _NUMBERS or each == "string" for each in types)
        self._columns = [(name, _column(kind)) for name, kind in zip(self.names, types)]
        self._form = form
        self._dtype = _common_dtype(types) if self.numeric else None

    def table(self, records: list[dict[str, object]]) -> Foreign:
        """Return the records in the model's form.

        Raises:
            ValueError, TypeError, OverflowError: A value is not of its column's type.
        """
        if self._form != "table":
            return self._texts([each.get(self.names[0]) for each in records])
        import pandas as pd

        columns = {name: column([each.get(name) for each in records]) for name, column in self._columns}
        return pd.DataFrame(columns, columns=self.names, copy=False)

    def matrix(self, records: list[dict[str, object]]) -> Foreign:
        """Return the numbers of the records as an array, as scikit-learn takes them of a table; None where one is no number."""
        import numpy as np

        rows = [[each.get(name) for name in self.names] for each in records]
        dtype = self._dtype
        if _holes(rows):
            rows = [[_NAN if is_missing(value) else value for value in map(decoded, row)] for row in rows]
            dtype = "float32" if dtype == "float32" else "float64"
        try:
            return np.array(rows, dtype=dtype)
        except (TypeError, ValueError, OverflowError):
            return None

    def rows(self, records: list[dict[str, object]]) -> Foreign:
        """Return the values of the records as lists; None where one is missing, or no plain text or number."""
        rows = [[each.get(name) for name in self.names] for each in records]
        return rows if all(type(value) in (int, float, bool, str) for row in rows for value in row) else None

    def _texts(self, texts: list[object]) -> Foreign:
        values = [_NAN if is_missing(each) else each for each in texts]
        if self._form == "list":
            return values
        if self._form == "series":
            return _texts(values)
        import numpy as np

        found = np.empty(len(values), dtype=object)
        found[:] = values
        return found


def _holes(rows: list[list[object]]) -> bool:
    """Return whether a value is missing or no plain number."""
    return any(type(value) not in (int, float, bool) for row in rows for value in row)


def _common_dtype(types: list[str]) -> str:
    """Return the type of a table's numbers together; booleans beside numbers count as numbers, as scikit-learn takes them."""
    kinds = set(types)
    if len(kinds) == 1:
        return _NUMBERS[kinds.pop()]
    return "int64" if kinds <= {"integer", "long"} else "float64"


def _column(kind: str) -> Column:
    if kind in _NUMBERS:
        return lambda values: _numbers(values, _NUMBERS[kind])
    return {"string": _texts, "binary": _binaries, "datetime": _datetimes}.get(kind, _objects)


def _numbers(values: list[object], dtype: str) -> Foreign:
    """Return an array of the column's type; where a value is missing, of numbers with NaN as pandas reads such a column."""
    import numpy as np

    if all(type(value) in (int, float, bool) for value in values):
        return np.array(values, dtype=dtype)
    values = [decoded(value) for value in values]
    if dtype == "bool":
        return np.array([_NAN if is_missing(value) else bool(value) for value in values], dtype=object)
    numbers = [_NAN if value is None else value for value in values]
    whole = all(isinstance(value, int) for value in numbers)
    return np.array(numbers, dtype=dtype if whole or dtype.startswith("float") else "float64")


def _texts(values: list[object]) -> Foreign:
    """Return a Series of the type that this pandas reads texts as; a missing text is NaN."""
    import pandas as pd

    return pd.Series([_NAN if is_missing(decoded(value)) else value for value in values], dtype=_text_dtype())


def _text_dtype() -> Foreign:
    global _TEXT_DTYPE  # noqa: PLW0603 - asked once: pandas 3 reads texts as `str`, its predecessors as objects
    if _TEXT_DTYPE is None:
        import pandas as pd

        _TEXT_DTYPE = pd.Series(["a"]).dtype
    return _TEXT_DTYPE


_TEXT_DTYPE: Foreign = None


def _binaries(values: list[object]) -> Foreign:
    import pandas as pd

    return pd.Series([_NAN if is_missing(value) else base64.b64decode(str(value), validate=True) for value in values], dtype=object)


def _datetimes(values: list[object]) -> Foreign:
    """Return dates without a zone: those with one are in UTC, as MLflow's signature has them."""
    import pandas as pd

    # Nothing of a request is read as "now" or "today".
    texts = [None if is_missing(value) else str(value) for value in values]
    zoned = pd.to_datetime(pd.Series(texts, dtype=object), utc=True, format="ISO8601")
    return zoned.dt.tz_localize(None)


def _objects(values: list[object]) -> Foreign:
    import pandas as pd

    return pd.Series([decoded(value) for value in values], dtype=object)

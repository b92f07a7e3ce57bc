"""One encoding of values in JSON, for the records of requests, golden predictions and the messages of the model's process.

| value | in JSON |
|---|---|
| text, number, boolean | itself |
| NaN, infinities | `{"$number": "NaN"}`, `"Infinity"`, `"-Infinity"` |
| missing (None, pandas' NA and NaT) | `null` |
| date and time, date | text of ISO 8601 |
| bytes | text of base64 |
| array, Series, tuple, set | a list |
| table | a list of objects |
"""

from __future__ import annotations

import base64
import datetime
import math
from collections.abc import Mapping
from typing import Any, Callable

#: An object of a library that only the model's own environment has.
Foreign = Any

NUMBER = "$number"
_MISSING = frozenset({"NAType", "NaTType"})
_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encoded(value: object) -> object:
    """Return a value as JSON has it.

    Raises:
        TypeError: The value is of a kind that has no form in JSON.
    """
    for kinds, form in _FORMS:
        if isinstance(value, kinds):
            return form(value)
    if type(value).__name__ in _MISSING:
        return None
    return str(value.isoformat()) if isinstance(value, _DATES) else _foreign(value)


def decoded(value: object) -> object:
    """Return what `encoded` returned as Python's lists, objects, texts and numbers; dates and bytes stay text."""
    if isinstance(value, dict):
        if len(value) == 1 and NUMBER in value:
            return _NAMES.get(value[NUMBER], value)
        return {name: decoded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [decoded(each) for each in value]
    return value


def is_missing(value: object) -> bool:
    """Return whether a value stands for nothing: None, NaN, or pandas' NA and NaT."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return type(value).__name__ in _MISSING


def _of_float(value: float) -> object:
    if math.isfinite(value):
        return float(value)
    return {NUMBER: "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def _foreign(value: Foreign) -> object:
    """Return a value of numpy, pandas or scipy as JSON has it."""
    if getattr(getattr(value, "dtype", None), "kind", "") == "M" and not hasattr(value, "iloc"):
        # numpy's dates as texts: `tolist` gives integers for nanoseconds.
        return _dates(value.astype(str).tolist())
    if _all_plain(value):
        return value.tolist()
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [encoded(each) for each in value.to_dict(orient="records")]
    for name in ("toarray", "tolist", "item", "__float__"):
        if hasattr(value, name):
            return encoded(getattr(value, name)())
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _all_plain(value: Foreign) -> bool:
    """Return whether numpy's own list of the array is its form in JSON: looking at each number takes longer than making it."""
    if type(value).__module__ != "numpy" or type(value).__name__ != "ndarray":
        return False
    import numpy as np

    return value.dtype.kind in "biu" or (value.dtype.kind == "f" and bool(np.isfinite(value).all()))


def _dates(texts: object) -> object:
    if isinstance(texts, list):
        return [_dates(each) for each in texts]
    return None if texts == "NaT" else texts


#: What becomes of a value of each kind; the first that fits.
_FORMS: tuple[tuple[tuple[type, ...], Callable[[Foreign], object]], ...] = (
    ((type(None), bool), lambda value: value),
    ((str,), str),
    ((float,), _of_float),
    ((int,), int),
    ((bytes, bytearray, memoryview), lambda value: base64.b64encode(bytes(value)).decode("ascii")),
    ((Mapping,), lambda value: {str(encoded(name)): encoded(each) for name, each in value.items()}),
    ((list, tuple), lambda value: [encoded(each) for each in value]),
    ((set, frozenset), lambda value: sorted((encoded(each) for each in value), key=repr)),
)
_DATES = (datetime.datetime, datetime.date, datetime.time)

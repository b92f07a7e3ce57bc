"""Quicker ways to the same answer, each taken only once it gave the same answers as the plain one."""

from __future__ import annotations

import math

from passerelle.model.host.tables import Tables
from passerelle.model.host.values import Foreign

#: Records for which a quicker way must give the same answer before it is taken; the golden predictions are as many.
_PROOFS = 8
_TOLERANCE = 1e-9
#: Of a vector's numbers, as a share of its length: those of single precision.
_OF_VECTORS = 1e-6


class QuickWays:
    """Answers with the quickest way that is proven.

    A way is what the model takes (an array of numbers, rows of plain values, or the table) and `quick` of the model. It is given up at the
    first difference.

    Args:
        model: With `predict`, and `quick` where it has a quicker one.
        tables: Make what it takes.
    """

    def __init__(self, model: Foreign, tables: Tables) -> None:
        self._model = model
        self._tables = tables
        arrays = ["matrix"] if tables.numeric else ["rows"] if tables.plain and getattr(model, "takes_rows", False) else []
        self._ways = [*arrays, "table"] if hasattr(model, "quick") else []
        self._unproven = _PROOFS

    def predict(self, records: list[dict[str, object]], params: dict[str, object]) -> Foreign:
        """Return the values of the records and the probabilities of the classes."""
        given = self._given(records) if self._ways and not params else None
        if given is None:
            return self._model.predict(self._tables.table(records), params)
        if self._unproven <= 0:
            return self._model.quick(given)
        answer = self._model.predict(self._tables.table(records), params)
        if self._agrees(given, answer):
            self._unproven -= len(records)
        else:
            self._ways.pop(0)
            self._unproven = _PROOFS
        return answer

    def _given(self, records: list[dict[str, object]]) -> Foreign:
        return getattr(self._tables, self._ways[0])(records)

    def _agrees(self, given: Foreign, answer: Foreign) -> bool:
        try:
            quick = self._model.quick(given)
            if getattr(self._model, "vectors", False):
                return all(map(_same_vector, answer[0], quick[0])) and len(answer[0]) == len(quick[0])
            return _same(list(answer), list(quick))
        except Exception:  # noqa: BLE001 - what the model cannot take as an array, it takes as a table
            return False


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return type(one) is type(other) and one == other


def _same_vector(one: Foreign, other: Foreign) -> bool:
    """Return whether two vectors are the same but for rounding, each as an object of its numbers."""
    if not isinstance(one, dict) or not isinstance(other, dict) or one.keys() != other.keys():
        return _same(one, other)
    length = math.sqrt(sum(number * number for number in one.values()))
    return all(abs(one[name] - other[name]) <= _OF_VECTORS * length for name in one)

"""From codes to the scores of one text: count, weigh, divide by the norms, add up coefficient rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from passerelle.serving.scorer.encoding import Codes
from passerelle.serving.scorer.sections import BINARY, SUBLINEAR, Floats, Norm, Section

Columns = NDArray[np.int32]

#: Larger than every code: it closes the last run of equal codes.
END = np.int32(2**31 - 1)


class Rows:
    """The arithmetic from the codes of a text to its scores.

    Args:
        sections: In the order of their columns.
        coefficients: Of the classifier, shape (columns, scores).
        intercepts: Shape (scores,).
    """

    def __init__(self, sections: Sequence[Section], coefficients: Floats, intercepts: Floats) -> None:
        scale = np.concatenate([section.scale for section in sections])
        self._table = np.ascontiguousarray(coefficients * scale[:, np.newaxis])
        self._intercepts = np.ascontiguousarray(intercepts, dtype=np.float64)
        self._signed = any(section.signed for section in sections)
        self._bounds = np.cumsum([section.width for section in sections], dtype=np.int32)[:-1]
        self._shapes = [section.shape for section in sections]
        self._own_orders = [section.own.order if section.own else None for section in sections]
        self._own = _scales([section.own for section in sections], sections)
        # A norm of the union is taken over all sections or none.
        self._union_order = sections[0].union.order if sections[0].union else None
        self._union = _scales([section.union for section in sections], sections)

    def scores(self, codes: Codes) -> Floats | None:
        """Return the scores of a text, shape (scores,), or None where it has no known n-gram.

        Args:
            codes: Of the text's n-grams in any order, END among them; sorted in place.
        """
        codes.sort()
        if len(codes) == 1:
            return None
        columns, values = _signed_runs(codes) if self._signed else _runs(codes)
        cuts = [0, *columns.searchsorted(self._bounds).tolist(), len(columns)]
        self._shape_values(values, cuts)
        self._divide_by_norms(columns, values, cuts)
        scores: Floats = np.dot(values, self._table.take(columns, axis=0))
        scores += self._intercepts
        return scores

    @property
    def intercepts(self) -> Floats:
        """The scores of a text without any known n-gram, shape (scores,)."""
        return self._intercepts

    def _shape_values(self, values: Floats, cuts: list[int]) -> None:
        if self._shapes.count(self._shapes[0]) == len(self._shapes):
            _apply(self._shapes[0], values)
            return
        for number, shape in enumerate(self._shapes):
            _apply(shape, values[cuts[number] : cuts[number + 1]])

    def _divide_by_norms(self, columns: Columns, values: Floats, cuts: list[int]) -> None:
        if self._own is not None:
            scaled = self._own.take(columns)
            scaled *= values
            for number, order in enumerate(self._own_orders):
                part = slice(cuts[number], cuts[number + 1])
                _divide(order, values[part], scaled[part])
        if self._union is not None:
            _divide(self._union_order, values, values * self._union.take(columns))


def _runs(codes: Codes) -> tuple[Columns, Floats]:
    """Return the distinct columns, ascending, and how often each occurs, from sorted unsigned codes that END closes."""
    ends = (codes[1:] != codes[:-1]).nonzero()[0]
    counts = np.empty(len(ends))
    counts[0] = ends[0] + 1
    np.subtract(ends[1:], ends[:-1], out=counts[1:])
    return codes.take(ends) >> 1, counts


def _signed_runs(codes: Codes) -> tuple[Columns, Floats]:
    """Return the distinct columns, ascending, and the sum of the signs in each, from sorted codes that END closes."""
    columns = codes >> 1
    starts = np.flatnonzero(np.concatenate([[True], columns[1:] != columns[:-1]]))[:-1]
    return columns.take(starts), np.add.reduceat(1.0 - 2.0 * (codes[:-1] & 1), starts)


def _apply(shape: str, values: Floats) -> None:
    if shape == SUBLINEAR:
        np.log(values, out=values)
        values += 1.0
    elif shape == BINARY:
        values.fill(1.0)


def _divide(order: str | None, values: Floats, scaled: Floats) -> None:
    """Divide the values by the norm of the scaled ones; a norm of zero divides nothing."""
    if order == "l2":
        norm = math.sqrt(np.dot(scaled, scaled))
    elif order == "l1":
        norm = float(np.abs(scaled).sum())
    else:
        return
    if norm > 0.0:
        values /= norm


def _scales(norms: Sequence[Norm | None], sections: Sequence[Section]) -> Floats | None:
    """Return the factors that stand when these norms are taken, side by side; ones where a section has none."""
    if not any(norms):
        return None
    return np.concatenate([norm.scale if norm else np.ones(s.width) for norm, s in zip(norms, sections, strict=True)])

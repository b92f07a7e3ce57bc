"""From codes to the scores of one text: count, weigh, divide by the norms, add up coefficient rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from passerelle.serving.scorer.sections import BINARY, SUBLINEAR, Floats, Norm, Section

Codes = NDArray[np.int32]

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
        self._weights = np.ascontiguousarray(coefficients * scale[:, np.newaxis])
        self._intercepts = np.ascontiguousarray(intercepts, dtype=np.float64)
        self._sections = tuple(sections)
        self._signed = any(section.signed for section in sections)
        self._bounds = np.cumsum([section.width for section in sections])[:-1]
        self._starts = np.concatenate([[0], self._bounds])
        shapes = {section.shape for section in sections}
        self._shape = shapes.pop() if len(shapes) == 1 else None
        self._own = _scales([section.own for section in sections], sections)
        self._union = _scales([section.union for section in sections], sections)
        self._normed = any(section.own or section.union for section in sections)

    def scores(self, codes: Codes) -> tuple[Floats, bool]:
        """Return the scores, shape (scores,), and whether any n-gram was known.

        Args:
            codes: Of the text's n-grams in any order, END among them; sorted in place.
        """
        codes.sort()
        if len(codes) == 1:
            return self._intercepts.copy(), False
        columns, values = self._signed_counts(codes) if self._signed else _counts(codes)
        self._shape_values(columns, values)
        if self._normed:
            self._divide_by_norms(columns, values)
        scores: Floats = np.dot(values, self._weights.take(columns, axis=0))
        scores += self._intercepts
        return scores, True

    def _signed_counts(self, codes: Codes) -> tuple[NDArray[np.intp], Floats]:
        columns = codes >> 1
        starts = np.flatnonzero(np.concatenate([[True], columns[1:] != columns[:-1]]))[:-1]
        values = np.add.reduceat(1.0 - 2.0 * (codes[:-1] & 1), starts)
        return columns[starts].astype(np.intp), values

    def _segments(self, columns: NDArray[np.intp]) -> list[tuple[Section, int, int]]:
        if len(self._sections) == 1:
            return [(self._sections[0], 0, len(columns))]
        cuts = [0, *columns.searchsorted(self._bounds).tolist(), len(columns)]
        return list(zip(self._sections, cuts[:-1], cuts[1:], strict=True))

    def _shape_values(self, columns: NDArray[np.intp], values: Floats) -> None:
        if self._shape is not None:
            _apply(self._shape, values)
            return
        for section, start, end in self._segments(columns):
            _apply(section.shape, values[start:end])

    def _divide_by_norms(self, columns: NDArray[np.intp], values: Floats) -> None:
        segments = self._segments(columns)
        if self._own is not None:
            scaled = values * self._own.take(columns)
            for section, start, end in segments:
                norm = _norm(section.own.order, scaled[start:end]) if section.own else 0.0
                if norm > 0.0:
                    values[start:end] /= norm
        order = self._sections[0].union.order if self._sections[0].union else None
        if order is not None and self._union is not None:
            norm = _norm(order, values * self._union.take(columns))
            if norm > 0.0:
                values /= norm


def _counts(codes: Codes) -> tuple[NDArray[np.intp], Floats]:
    """Return the distinct columns, ascending, and how often each occurs, from sorted unsigned codes that END closes."""
    ends = np.flatnonzero(codes[1:] != codes[:-1])
    values = np.empty(len(ends))
    values[0] = ends[0] + 1
    np.subtract(ends[1:], ends[:-1], out=values[1:])
    return (codes.take(ends) >> 1).astype(np.intp), values


def _apply(shape: str, values: Floats) -> None:
    if shape == SUBLINEAR:
        np.log(values, out=values)
        values += 1.0
    elif shape == BINARY:
        values.fill(1.0)


def _norm(order: str, values: Floats) -> float:
    if order == "l2":
        return math.sqrt(np.dot(values, values))
    return float(np.abs(values).sum())


def _scales(norms: Sequence[Norm | None], sections: Sequence[Section]) -> Floats | None:
    """Return the factors that stand when these norms are taken, side by side; ones where a section has none."""
    if not any(norms):
        return None
    return np.concatenate([norm.scale if norm else np.ones(s.width) for norm, s in zip(norms, sections, strict=True)])

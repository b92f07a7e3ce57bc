"""From codes to the scores of one text: count, weigh, divide by the norms, add up coefficient rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap

import numpy as np
from numpy.typing import NDArray

from passerelle.scorer.pairs import Codes, Places
from passerelle.scorer.sections import BINARY, SUBLINEAR, Floats, Norm, Section

Columns = NDArray[np.int32]

#: Larger than every code: it closes the last run of equal codes.
END = np.int32(2**31 - 1)


@dataclass(frozen=True)
class LinearScores:
    """The arithmetic from the codes of a text to its scores.

    Attributes:
        table: Coefficients times the columns' factors, shape (columns, scores).
        intercepts: The scores of a text without any known n-gram, shape (scores,).
        bounds: First column of each section but the first, shape (sections - 1,).
        shapes: What becomes of the counts, for each section.
        signed: Whether a hash may count as -1.
        own_orders: Norm of each section by itself, or None.
        own: Factors that stand when it is taken, shape (columns,), or None.
        union_order: Norm over all sections, or None.
        union: Factors that stand when it is taken, shape (columns,), or None.
    """

    table: Floats
    intercepts: Floats
    bounds: NDArray[np.int32]
    shapes: tuple[str, ...]
    signed: bool
    own_orders: tuple[str | None, ...]
    own: Floats | None
    union_order: str | None
    union: Floats | None

    @classmethod
    def of(cls, sections: Sequence[Section], coefficients: Floats, intercepts: Floats) -> LinearScores:
        """Return the arithmetic of these sections, in the order of their columns, and a classifier's coefficients (columns, scores)."""
        scale = np.concatenate([section.scale for section in sections])
        return cls(
            table=np.ascontiguousarray(coefficients * scale[:, np.newaxis]),
            intercepts=np.ascontiguousarray(intercepts, dtype=np.float64),
            bounds=np.cumsum([section.width for section in sections], dtype=np.int32)[:-1],
            shapes=tuple(section.shape for section in sections),
            signed=any(section.signed for section in sections),
            own_orders=tuple(section.own.order if section.own else None for section in sections),
            own=_scales([section.own for section in sections], sections),
            # A norm of the union is taken over all sections or none.
            union_order=sections[0].union.order if sections[0].union else None,
            union=_scales([section.union for section in sections], sections),
        )

    def scores(self, codes: Codes) -> Floats | None:
        """Return the scores of a text, shape (scores,), or None where it has no known n-gram.

        Args:
            codes: Of the text's n-grams in any order, END among them; sorted in place.
        """
        codes.sort()
        if len(codes) == 1:
            return None
        columns, values = _signed_runs(codes) if self.signed else _runs(codes)
        cuts = [0, *columns.searchsorted(self.bounds).tolist(), len(columns)]
        self._shape_values(values, cuts)
        self._divide_by_norms(columns, values, cuts)
        scores: Floats = np.dot(values, self.table.take(columns, axis=0))
        scores += self.intercepts
        return scores

    def table_scores(self, places: Places, codes: Codes, texts: int) -> Floats:
        """Return what `scores` returns of each text, to the bit, shape (texts, scores).

        Args:
            places: Of each code, the place of its text.
            codes: Of the n-grams of all texts in any order, without END.
            texts: How many there are.
        """
        bits = int(2 * len(self.table) - 1).bit_length()
        columns, values = _table_runs(_keys(places, codes, texts, bits), signed=self.signed)
        # Where each section of each text begins; the first begins where the text does.
        sections = len(self.shapes)
        begins = np.arange(texts, dtype=columns.dtype).repeat(sections) << (bits - 1)
        begins += np.tile(np.array([0, *self.bounds.tolist()], dtype=columns.dtype), texts)
        cuts = np.append(columns.searchsorted(begins), len(columns))
        # The type of an index, which `take` would make of each text's columns by itself.
        columns = columns.astype(np.intp) & ((1 << (bits - 1)) - 1)
        if self.shapes.count(self.shapes[0]) == sections:
            _apply(self.shapes[0], values)
        else:
            for number, part in enumerate(starmap(slice, pairwise(cuts.tolist()))):
                _apply(self.shapes[number % sections], values[part])
        if self.own is not None:
            _divide_all(self.own_orders, values, self.own.take(columns), cuts)
        of_texts = cuts[::sections]
        if self.union is not None:
            _divide_all((self.union_order,), values, self.union.take(columns), of_texts)
        # The rows of all texts together would be some megabytes that no cache holds.
        found = np.empty((texts, len(self.intercepts)))
        take, dot = self.table.take, np.dot
        for row, (begin, end) in zip(found, pairwise(of_texts.tolist()), strict=True):
            dot(values[begin:end], take(columns[begin:end], 0), row)
        found += self.intercepts
        return found

    def _shape_values(self, values: Floats, cuts: list[int]) -> None:
        if self.shapes.count(self.shapes[0]) == len(self.shapes):
            _apply(self.shapes[0], values)
            return
        for number, shape in enumerate(self.shapes):
            _apply(shape, values[cuts[number] : cuts[number + 1]])

    def _divide_by_norms(self, columns: Columns, values: Floats, cuts: list[int]) -> None:
        if self.own is not None:
            scaled = self.own.take(columns)
            scaled *= values
            for number, order in enumerate(self.own_orders):
                part = slice(cuts[number], cuts[number + 1])
                _divide(order, values[part], scaled[part])
        if self.union is not None:
            _divide(self.union_order, values, values * self.union.take(columns))


def _runs(codes: Codes) -> tuple[Columns, Floats]:
    """Return the distinct columns, ascending, and how often each occurs, from sorted unsigned codes that END closes."""
    ends = (codes[1:] != codes[:-1]).nonzero()[0]
    counts = np.empty(len(ends))
    counts[0] = ends[0] + 1
    np.subtract(ends[1:], ends[:-1], out=counts[1:])
    return codes.take(ends) >> 1, counts


def _keys(places: Places, codes: Codes, texts: int, bits: int) -> NDArray[np.int64 | np.int32]:
    """Return the place of the text and the code as one number each, ascending.

    They have 32 bits where that is enough: those are sorted in half the time.
    """
    wide = texts << bits > np.iinfo(np.int32).max
    keys: NDArray[np.int64 | np.int32] = ((places.astype(np.int64) if wide else places) << bits) | codes
    keys.sort()
    return keys


def _table_runs(keys: NDArray[np.int64 | np.int32], *, signed: bool) -> tuple[NDArray[np.int64 | np.int32], Floats]:
    """Return the distinct columns of each text and what `_runs` and `_signed_runs` return of them.

    Args:
        keys: As `_keys` returns them.
        signed: Whether a hash may count as -1.
    """
    if not len(keys):
        return keys, np.empty(0)
    columns = keys >> 1
    begins = np.flatnonzero(np.concatenate([[True], columns[1:] != columns[:-1]]))
    if signed:
        return columns.take(begins), np.add.reduceat(1.0 - 2.0 * (keys & 1), begins)
    return columns.take(begins), np.diff(begins, append=len(keys)).astype(np.float64)


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


def _divide_all(orders: Sequence[str | None], values: Floats, scale: Floats, cuts: NDArray[np.intp]) -> None:
    """Divide the values by the norms that `_divide` takes, of many texts.

    Args:
        orders: Of each section of a text.
        values: Of all texts.
        scale: Factors that stand when the norms are taken.
        cuts: Where each section of each text begins, and the end of the last.
    """
    scaled = scale * values
    norms = np.ones(len(cuts) - 1)
    for number, order in enumerate(orders):
        if order is not None:
            bounds = zip(cuts[number : -1 : len(orders)].tolist(), cuts[number + 1 :: len(orders)].tolist(), strict=True)
            norms[number :: len(orders)] = _norms(order, [scaled[begin:end] for begin, end in bounds])
    norms[~(norms > 0.0)] = 1.0
    values /= norms.repeat(np.diff(cuts))


def _norms(order: str, parts: Sequence[Floats]) -> Floats:
    if order == "l2":
        dot = np.dot
        return np.sqrt([dot(part, part) for part in parts])
    return np.array([np.abs(part).sum() for part in parts])


def _scales(norms: Sequence[Norm | None], sections: Sequence[Section]) -> Floats | None:
    """Return the factors that stand when these norms are taken, side by side; ones where a section has none."""
    if not any(norms):
        return None
    return np.concatenate([norm.scale if norm else np.ones(s.width) for norm, s in zip(norms, sections, strict=True)])

"""The steps between text and classifier as one formula.

A section is the columns of one vectorizer. Whatever scalers, weights and norms follow, a feature's value is

    x = f(count) * scale / (own norm * union norm)

where f is the count itself, 1 or 1 + log(count); `scale` is a constant of the column; the own norm is that of the section in this
text and the union norm that of all sections together. A norm that follows another one cancels it, so only the last of each counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from passerelle.scorer.analyzers import Analyzer
from passerelle.scorer.pairs import Pairs

Floats = NDArray[np.float64]

COUNT, BINARY, SUBLINEAR = "count", "binary", "sublinear"


@dataclass(frozen=True)
class Hashing:
    """The columns of a HashingVectorizer.

    Attributes:
        width: Number of columns.
        signed: Whether an n-gram may count as -1.
    """

    width: int
    signed: bool


@dataclass(frozen=True)
class Vocabulary:
    """The columns of a vectorizer that learnt its n-grams.

    Attributes:
        columns: n-gram to column.
        width: Number of columns.
        pairs: The n-grams of two words, where they are not in `columns` but ready to be searched.
    """

    columns: Mapping[str, int]
    width: int
    pairs: Pairs | None = None


@dataclass(frozen=True)
class Norm:
    """A norm of a row: its order and the column factors that stood when it was taken.

    Attributes:
        order: `l1` or `l2`.
        scale: Factor of each column, shape (columns,).
    """

    order: str
    scale: Floats


@dataclass
class Section:
    """The columns of one vectorizer and the transformations of their counts.

    Attributes:
        column: The record's field that holds the text.
        analyzer: How the text is cut.
        terms: The n-grams, or how they are hashed.
        shape: `count`, `binary` or `sublinear`.
        scale: Factor of each column, shape (columns,).
        own: The section's norm, if any.
        union: The norm over all sections, as far as this section adds to it.
    """

    column: str
    analyzer: Analyzer
    terms: Vocabulary | Hashing
    shape: str = COUNT
    scale: Floats = field(default_factory=lambda: np.ones(0))
    own: Norm | None = None
    union: Norm | None = None

    def __post_init__(self) -> None:
        self.scale = np.ones(self.width)

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.terms.width

    @property
    def signed(self) -> bool:
        """Whether the sign of a hash matters; where only presence counts, it does not."""
        return isinstance(self.terms, Hashing) and self.terms.signed and self.shape != BINARY

    @property
    def untouched(self) -> bool:
        """Whether the values are still bare counts or presences."""
        return self.own is None and self.union is None and bool(np.all(self.scale == 1.0))

"""Sections of a few words, made by hand, for tests of the scorer's parts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from passerelle.scorer.analyzers import DEFAULT_TOKEN_PATTERN, Analyzer
from passerelle.scorer.linear import LinearScores
from passerelle.scorer.sections import Hashing, Section, Vocabulary


def ran(work: Generator[None, None, Any]) -> tuple[int, Any]:
    """Return how often the work paused, and its result."""
    pauses = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return pauses, end.value
        pauses += 1


def section(*terms: str, kind: str = "word", ngrams: tuple[int, int] = (1, 2), column: str = "text", tokens: str = r"\w+") -> Section:
    return Section(column, Analyzer(kind, ngrams, False, None, tokens), Vocabulary({term: n for n, term in enumerate(terms)}, len(terms)))


def chunked(*terms: str, ngrams: tuple[int, int] = (1, 2), **changed: Any) -> Section:
    return section(*terms, ngrams=ngrams, tokens=DEFAULT_TOKEN_PATTERN, **changed)


def hashed(width: int = 8, *, signed: bool = True, column: str = "text", ngrams: tuple[int, int] = (1, 1)) -> Section:
    return Section(column, Analyzer("word", ngrams, False, None), Hashing(width, signed))


def rows(of: Sequence[Section], coefficients: Any, intercepts: Any = (0.0,)) -> LinearScores:
    return LinearScores.of(of, np.asarray(coefficients, dtype=np.float64), np.asarray(intercepts))

"""n-grams to codes.

A code is twice the n-gram's column, counted over all sections, plus 1 where a hash gives it a negative sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import mmh3
import numpy as np
from numpy.typing import NDArray

from passerelle.scorer.analyzers import word_ngrams, word_ngrams_in_slices
from passerelle.scorer.pairs import Codes, Places, pairs_of
from passerelle.scorer.sections import Hashing, Section

Encode = Callable[[Sequence[str]], list[int]]

_PAIR = 2


class TextTableCodes(NamedTuple):
    """What many texts are to the sections of a source.

    Attributes:
        places: Of each code, the place of its text.
        codes: Of the known n-grams, as often as they occur, in any order.
        ngrams: How many n-grams each text has, known or not, shape (texts,).
    """

    places: Places
    codes: Codes
    ngrams: NDArray[np.int64]


def encoder_of(section: Section, first_column: int) -> Encode:
    """Return the function from n-grams to codes; those that the section does not know are left out."""
    if isinstance(section.terms, Hashing):
        return _hash_encoder(section.terms.width, first_column, signed=section.signed)
    get = section.terms.columns.get

    def encode(ngrams: Sequence[str]) -> list[int]:
        return [2 * (first_column + column) for column in map(get, ngrams) if column is not None]

    return encode


def _hash_encoder(width: int, first_column: int, *, signed: bool) -> Encode:
    def code(ngram: str) -> int:
        # The same function as scikit-learn's `murmurhash3_bytes_s32`; Python's abs and % give -2**31 the column that scikit-learn gives it.
        value = mmh3.hash(ngram.encode("utf-8"), seed=0, signed=True)
        return 2 * (first_column + abs(value) % width) + (signed and value < 0)

    def encode(ngrams: Sequence[str]) -> list[int]:
        return [code(ngram) for ngram in ngrams]

    return encode


class CrossingNgrams(Protocol):
    """Word n-grams of two tokens and more, which cross whitespace: a chunk's share is remembered, the shares are joined per text."""

    def share(self, tokens: list[str]) -> Any:
        """Return what to remember of one chunk's tokens."""

    def codes(self, shares: list[Any]) -> Codes:
        """Return the codes of a text from the shares of its chunks, in order."""

    def codes_of_texts(self, shares: list[Any], places: Places) -> tuple[Places, Codes]:
        """Return the codes of many texts from the shares of their chunks, and the place of each one's text."""

    def codes_in_slices(self, shares: list[Any], size: int) -> Iterator[Codes]:
        """Yield what `codes` returns, of at most `size` n-grams at a time where each of them costs much."""


def crossing_ngrams_of(section: Section, first_column: int, encode: Encode) -> CrossingNgrams:
    """Return how this section finds n-grams of two tokens and more."""
    smallest, largest = section.analyzer.ngrams
    if largest == _PAIR and not isinstance(section.terms, Hashing):
        return section.terms.pairs or pairs_of(section.terms.columns, first_column)
    return Joined(max(smallest, _PAIR), largest, encode)


class Joined:
    """Word n-grams as strings, for any n and for hashing."""

    def __init__(self, smallest: int, largest: int, encode: Encode) -> None:
        self._smallest, self._largest, self._encode = smallest, largest, encode

    def share(self, tokens: list[str]) -> tuple[str, ...]:
        """Return the tokens themselves."""
        return tuple(tokens)

    def codes(self, shares: list[tuple[str, ...]]) -> Codes:
        """Return the codes of the n-grams of all these tokens."""
        tokens = [token for share in shares for token in share]
        return np.array(self._encode(word_ngrams(tokens, self._smallest, self._largest)), dtype=np.int32)

    def codes_of_texts(self, shares: list[tuple[str, ...]], places: Places) -> tuple[Places, Codes]:
        """Return the codes of the n-grams of many texts, and the place of each one's text."""
        cuts = [0, *(np.flatnonzero(places[1:] != places[:-1]) + 1).tolist(), len(shares)] if shares else []
        found = [(int(places[begin]), self.codes(shares[begin:end])) for begin, end in pairwise(cuts)]
        if not found:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        texts = np.repeat(np.array([place for place, _ in found], np.int32), [len(codes) for _, codes in found])
        return texts, np.concatenate([codes for _, codes in found])

    def codes_in_slices(self, shares: list[tuple[str, ...]], size: int) -> Iterator[Codes]:
        """Yield the codes of at most `size` n-grams at a time."""
        tokens = [token for share in shares for token in share]
        for ngrams in word_ngrams_in_slices(tokens, self._smallest, self._largest, size):
            yield np.array(self._encode(ngrams), dtype=np.int32)

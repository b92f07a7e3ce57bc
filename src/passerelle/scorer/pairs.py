"""Pairs of words, found by number instead of by string."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

#: Twice the n-gram's column, counted over all sections, plus 1 where a hash gives it a negative sign.
Codes = NDArray[np.int32]
#: Of each code of many texts, the place of its text; ascending.
Places = NDArray[np.int32]


#: 2**64 divided by the golden ratio: the first bits of its multiples are spread evenly (Knuth, volume 3, section 6.4).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
#: Entries of a filter for each key, so that of 16 unknown keys one seems to be known; and most of all, which a processor's cache holds.
_ENTRIES_A_KEY, _MOST_ENTRIES = 16, 1 << 20


@dataclass(frozen=True)
class _Filter:
    """Tells quickly of most keys that they are not among the known ones.

    Attributes:
        marks: Whether a known key has these first bits, of the product with `_SPREAD`.
        shift: Which bits are the first ones.
    """

    marks: NDArray[np.bool_]
    shift: np.uint64

    @classmethod
    def of(cls, keys: NDArray[np.int64]) -> _Filter:
        """Return the filter of these keys."""
        bits = max(1, min(len(keys) * _ENTRIES_A_KEY, _MOST_ENTRIES - 1).bit_length())
        shift = np.uint64(64 - bits)
        marks = np.zeros(1 << bits, dtype=np.bool_)
        marks[(keys.view(np.uint64) * _SPREAD) >> shift] = True
        return cls(marks, shift)

    def may_hold(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return of each key whether it may be known: true of all that are."""
        return self.marks.take(((keys.view(np.uint64) * _SPREAD) >> self.shift).view(np.int64))


@dataclass(frozen=True)
class Pairs:
    """Pairs of words found by number: a pair is one integer, and the known pairs are a sorted array of 8 bytes each.

    Attributes:
        tokens: The words of known pairs; a word's number is its place.
        keys: A pair's first number times (tokens + 1) plus its second, ascending, closed by a key larger than any; shape (pairs + 1,).
        known: The code of each key, shape (pairs + 1,).
    """

    tokens: Sequence[str]
    keys: NDArray[np.int64]
    known: Codes

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def _filter(self) -> _Filter:
        return _Filter.of(self.keys[:-1])

    def share(self, tokens: list[str]) -> bytes:
        """Return the numbers of the tokens, native 64-bit integers."""
        numbers = self._numbers
        return array("q", [numbers.get(token, len(numbers)) for token in tokens]).tobytes()

    def codes(self, shares: list[bytes]) -> Codes:
        """Return the codes of the known pairs among these tokens."""
        numbers = np.frombuffer(b"".join(shares), dtype=np.int64)
        keys = numbers[:-1] * np.int64(len(self.tokens) + 1)
        keys += numbers[1:]
        places = self.keys.searchsorted(keys)
        codes: Codes = self.known[places[self.keys[places] == keys]]
        return codes

    def codes_of_texts(self, shares: list[bytes], places: Places) -> tuple[Places, Codes]:
        """Return the codes of the known pairs of many texts, and the place of each one's text.

        Args:
            shares: Of the chunks of all texts, in order.
            places: Of each chunk, the place of its text.
        """
        numbers = np.frombuffer(b"".join(shares), dtype=np.int64)
        texts = places.repeat(np.fromiter(map(len, shares), np.int64, len(shares)) // numbers.itemsize)
        keys = numbers[:-1] * np.int64(len(self.tokens) + 1)
        keys += numbers[1:]
        # The last word of a text and the first of the next are no pair. Most pairs are not known, and those are not searched for.
        maybe = np.flatnonzero(self._filter.may_hold(keys) & (texts[1:] == texts[:-1]))
        keys = keys.take(maybe)
        found = self.keys.searchsorted(keys)
        known = self.keys.take(found) == keys
        return texts.take(maybe[known]), self.known.take(found[known])

    def codes_in_slices(self, shares: list[bytes], size: int) -> Iterator[Codes]:  # noqa: ARG002 - a pair takes nanoseconds
        """Yield the codes of all pairs."""
        yield self.codes(shares)


def pairs_of(terms: Mapping[str, int], first_column: int) -> Pairs:
    """Return the pairs among these terms. Tokens never hold a space, so a term that is a pair holds exactly one."""
    pairs = [(term.split(" "), column) for term, column in terms.items() if isinstance(term, str) and term.count(" ") == 1]
    numbers: dict[str, int] = {}
    for pair, _ in pairs:
        for token in pair:
            numbers.setdefault(token, len(numbers))
    keys = np.array([numbers[a] * (len(numbers) + 1) + numbers[b] for (a, b), _ in pairs], dtype=np.int64)
    order = np.argsort(keys)
    # The last key is larger than any pair's, so that a search never runs off the end.
    closed = np.append(keys[order], np.int64(2**63 - 1))
    codes = np.append(np.array([2 * (first_column + column) for _, column in pairs], dtype=np.int32)[order], np.int32(0))
    return Pairs(tuple(numbers), closed, codes)

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
        keys[texts[1:] != texts[:-1]] = -1  # the last word of a text and the first of the next are no pair
        found = self.keys.searchsorted(keys)
        known = self.keys[found] == keys
        return texts[:-1][known], self.known[found[known]]

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

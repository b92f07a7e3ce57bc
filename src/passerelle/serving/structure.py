"""How many values a JSON body may hold, counted on its bytes: a parser takes a third of a second to build a million of them."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self, TypeVar

from passerelle.model.record import Column, Param

Result = TypeVar("Result")

#: A smaller body is read at once, without this check.
SMALL_BYTES = 4_096
#: Most digits of a number, and most numbers of a hundred digits: parsing one takes time in the square of its digits.
_MOST_DIGITS, _MOST_LONG_NUMBERS = 999, 100
TOO_MANY_DIGITS = "holds a number of 1000 digits or more, or over 100 numbers of 100 digits"
TOO_DEEP = "holds arrays or objects nested too deeply"
#: Tried where a number begins, and not again at each of its digits.
_LONG_NUMBER = re.compile(rb"(?<!\d)\d{100,}")
#: A long number has two digits that follow each other where only every fiftieth byte is looked at.
_EVERY, _TWO_DIGITS = 50, re.compile(rb"\d\d")
#: Of a body that is counted at a time; a tenth of a millisecond.
_PIECE_BYTES = 16_384
#: Of a body in which an unknown field is looked for, to be named.
_LOOKED_AT_BYTES = 65_536
_LONGEST_SPACE, _LONGEST_NAME = 80, 320
#: Values in fields that no column has, where those are ignored: of a body, and of each record.
_IGNORED, _IGNORED_OF_RECORD = 100, 20
_TEXTS = frozenset({"string", "datetime", "binary"})


class Excess(Enum):
    """The limit that a body exceeds."""

    RECORDS = "records"
    VALUES = "values"
    DIGITS = "digits"


@dataclass(frozen=True)
class Structure:
    """The most that a body of a schema can hold.

    Attributes:
        records: Objects inside the outer one; 0 for a body that is a single record.
        columns: Fields of a record.
        params: Names of the params, and of the field that holds them.
        more_values: Values of a body beside one for each field.
        more_texts: How many of those may be texts.
        ignoring: Whether a record may have other fields.
    """

    records: int
    columns: tuple[str, ...]
    params: tuple[str, ...] = ()
    more_values: int = 0
    more_texts: int = 0
    ignoring: bool = False

    @classmethod
    def of(cls, columns: Sequence[Column], params: Sequence[Param], params_field: str, *, max_array_items: int, ignore_extra: bool) -> Self:
        """Return the structure of one record with these columns and params."""
        arrays = [column.scalar for column in columns if column.depth] + [param.type for param in params if param.is_list]
        # An item may be an array itself, in an array of arrays.
        items = 2 * max_array_items if arrays else 0
        texts = max_array_items if _TEXTS.intersection(arrays) else 0
        names = (params_field, *(param.name for param in params)) if params else ()
        return cls(0, tuple(column.name for column in columns), names, items + 2 * len(names), texts + len(names), ignoring=ignore_extra)

    def for_batch(self, records: int) -> Self:
        """Return the structure of a batch of such records."""
        return replace(self, records=records)

    def excess(self, body: bytes) -> Excess | None:
        """Return the limit of the schema that a body exceeds, or None if a parser may read it; in linear time."""
        return run_at_once(self.excess_in_slices(body))

    def excess_in_slices(self, body: bytes) -> Generator[None, None, Excess | None]:
        """Return what `excess` returns; yields between the pieces of a large body, and reads no further than to the excess."""
        values = max(1, self.records) * (len(self.columns) + 1) + 2 + self.more_values + self._ignored
        excess, objects = yield from excess_in_slices(body, most_quotes=self._quotes, most_values=values)
        too_many = self.records and not self.ignoring and objects > self.records + 1 + bool(self.params)
        return Excess.RECORDS if excess is Excess.VALUES and too_many else excess

    def unknown_field(self, body: bytes) -> str | None:
        """Return the place of the first field that no record has, or None where none of the first ones is unknown."""
        if self.ignoring:
            return None
        parts = without_escaped_quotes(body[:_LOOKED_AT_BYTES]).split(b'"', self._quotes + 4)
        opened = closed = 0
        for before, name, after in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
            opened += before.count(b"{")
            closed += before.count(b"}")
            inside = self.records and opened - closed > 1
            known = (self.columns if inside or not self.records else ("records",)) + self.params
            if name.decode("utf-8", "replace") not in known and after[:_LONGEST_SPACE].lstrip().startswith(b":"):
                place = f"records.{opened - 2}." if inside else ""
                return place + name[:_LONGEST_NAME].decode("utf-8", "replace")
        return None

    @property
    def _quotes(self) -> int:
        each = 4 * max(1, self.records) * len(self.columns) + 2 * (self.records > 0)
        return each + 2 * self.more_texts + 2 * len(self.params) + 4 * self._ignored

    @property
    def _ignored(self) -> int:
        return _IGNORED + _IGNORED_OF_RECORD * self.records if self.ignoring else 0


def excess_in_slices(body: bytes, *, most_quotes: int, most_values: int) -> Generator[None, None, tuple[Excess | None, int]]:
    """Return which of these a body has too many of, or None if a parser may read it, and how many objects begin up to there.

    In linear time, and up to the excess alone: 340,000 empty records are refused after the first of them. Yields between pieces.
    """
    quotes = values = objects = long_numbers = place = 0
    digits = b""
    while place < len(body):
        piece = body[place : whole_escapes(body, place, place + _PIECE_BYTES)]
        place += len(piece)
        parts = without_escaped_quotes(piece).split(b'"')
        # Every second part is outside of strings.
        outside = b"".join(parts[quotes % 2 :: 2])
        quotes += len(parts) - 1
        values += outside.count(b",") + outside.count(b"[") + (begun := outside.count(b"{"))
        objects += begun
        if quotes > most_quotes or values > most_values:
            return Excess.VALUES, objects
        longest, count, digits = _long_numbers(digits + outside)
        long_numbers += count
        if longest > _MOST_DIGITS or long_numbers > _MOST_LONG_NUMBERS:
            return Excess.DIGITS, objects
        yield
    return None, objects


def _long_numbers(text: bytes) -> tuple[int, int, bytes]:
    """Return the digits of the longest number, how many long ones end in the text, and the digits at its end."""
    ended = len(text.rstrip(b"0123456789"))
    longest, count = len(text) - ended, 0
    if _TWO_DIGITS.search(text[:ended:_EVERY]):
        for number in _LONG_NUMBER.finditer(text, 0, ended):
            longest, count = max(longest, len(number[0])), count + 1
    return longest, count, text[ended:]


def whole_escapes(body: bytes, begin: int, end: int) -> int:
    """Return where a piece ends that begins outside of an escape and is to end there too."""
    piece = body[begin:end]
    return end + (len(piece) - len(piece.rstrip(b"\\"))) % 2


def without_escaped_quotes(body: bytes) -> bytes:
    """Return a body whose every quote begins or ends a string."""
    return body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body


def run_at_once(work: Generator[None, None, Result]) -> Result:
    """Return the result of work in slices, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result

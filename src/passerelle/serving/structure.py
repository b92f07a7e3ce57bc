"""How many values a JSON body may hold, counted on its bytes: a parser takes a third of a second to build a million of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

#: A smaller body is read at once, without this check.
SMALL_BYTES = 4_096
#: Most digits of a number; parsing takes time in the square of their count.
_LONG_NUMBER = re.compile(rb"\d{1000}")
_LONGEST_SPACE, _LONGEST_NAME = 80, 320


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
    """

    records: int
    columns: tuple[str, ...]

    def excess(self, body: bytes) -> Excess | None:
        """Return the limit of the schema that a body exceeds, or None if a parser may read it; in linear time."""
        values = max(1, self.records) * (len(self.columns) + 1) + 2
        excess, place = excess_of(body, most_quotes=self._quotes, most_values=values)
        return self._which(place) if excess is Excess.VALUES else excess

    def unknown_field(self, body: bytes) -> str | None:
        """Return the place of the first field that no record has, or None where none of the first ones is unknown."""
        parts = _without_escaped_quotes(body).split(b'"', self._quotes + 4)
        opened = closed = 0
        for before, name, after in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
            opened += before.count(b"{")
            closed += before.count(b"}")
            inside = self.records and opened - closed > 1
            known = self.columns if inside or not self.records else ("records",)
            if name.decode("utf-8", "replace") not in known and after[:_LONGEST_SPACE].lstrip().startswith(b":"):
                place = f"records.{opened - 2}." if inside else ""
                return place + name[:_LONGEST_NAME].decode("utf-8", "replace")
        return None

    @property
    def _quotes(self) -> int:
        return 4 * max(1, self.records) * len(self.columns) + 2 * (self.records > 0)

    def _which(self, content: bytes) -> Excess:
        return Excess.RECORDS if self.records and content.count(b"{") > self.records + 1 else Excess.VALUES


def excess_of(body: bytes, *, most_quotes: int, most_values: int) -> tuple[Excess | None, bytes]:
    """Return which of these a body has too many of, or None if a parser may read it, and where that was counted; in linear time."""
    bare = _without_escaped_quotes(body)
    if bare.count(b'"') > most_quotes:
        return Excess.VALUES, body
    # Every quote begins or ends a string, so every second part is outside of strings.
    outside = b"".join(bare.split(b'"')[::2])
    if outside.count(b",") + outside.count(b"[") + outside.count(b"{") > most_values:
        return Excess.VALUES, outside
    return (Excess.DIGITS if _LONG_NUMBER.search(outside) else None), outside


def _without_escaped_quotes(body: bytes) -> bytes:
    return body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body

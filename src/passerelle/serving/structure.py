"""How many values a JSON body may hold, counted on its bytes: a parser takes a third of a second to build a million of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

from passerelle.model.record import Column, Param

#: A smaller body is read at once, without this check.
SMALL_BYTES = 4_096
#: Most digits of a number; parsing takes time in the square of their count.
_LONG_NUMBER = re.compile(rb"\d{1000}")
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
        values = max(1, self.records) * (len(self.columns) + 1) + 2 + self.more_values + self._ignored
        excess, place = excess_of(body, most_quotes=self._quotes, most_values=values)
        return self._which(place) if excess is Excess.VALUES else excess

    def unknown_field(self, body: bytes) -> str | None:
        """Return the place of the first field that no record has, or None where none of the first ones is unknown."""
        if self.ignoring:
            return None
        parts = _without_escaped_quotes(body).split(b'"', self._quotes + 4)
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

    def _which(self, content: bytes) -> Excess:
        objects = self.records + 1 + bool(self.params)
        return Excess.RECORDS if self.records and not self.ignoring and content.count(b"{") > objects else Excess.VALUES


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

"""Where a file of lines can be cut: at the end of a row, never within quotes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle

#: A range ends with the piece in which it gets this long. Less than a piece, so that it does not take two where the first lacks a header.
RANGE_BYTES = 3 << 18
#: A longer row is not read: no text that the service accepts comes near.
MOST_ROW_BYTES = 16 << 20
_NEWLINE, _QUOTE = b"\n", b'"'


@dataclass(frozen=True)
class ByteRange:
    """Whole rows of a file.

    Attributes:
        begin: Place of the first byte.
        end: Place after the last byte.
        rows: How many lines that are not within quotes.
        too_long: Whether it is one row that is longer than `MOST_ROW_BYTES`.
    """

    begin: int
    end: int
    rows: int
    too_long: bool = False


class UnclosedQuoteError(Exception):
    """The file ends within quotes."""


def byte_ranges(pieces: Iterable[bytes], *, begin: int = 0, quotes: bool, range_bytes: int | None = None) -> Iterator[ByteRange]:
    """Yield the ranges of a file's content, in its order; the same for the same content, however it is cut into pieces of one size.

    Args:
        pieces: The content from `begin` on.
        begin: Place of the first byte.
        quotes: Whether lines within double quotes do not end a row, as in CSV (RFC 4180).
        range_bytes: Least length of a range, but for the last; by default `RANGE_BYTES`.

    Raises:
        UnclosedQuoteError: As its docstring says.
    """
    least_bytes = RANGE_BYTES if range_bytes is None else range_bytes
    place = end = begin
    rows, quoted = 0, False
    for piece in pieces:
        ends, quoted_after = (_line_ends(piece, quoted=quoted) if quotes else _plain_line_ends(piece)), False
        if quotes:
            quoted_after = quoted ^ (piece.count(_QUOTE) % 2 == 1)
        if ends.count:
            first = place + ends.first + 1
            if first - end > MOST_ROW_BYTES:
                if end > begin:
                    yield ByteRange(begin, end, rows)
                yield ByteRange(end, first, 1, too_long=True)
                begin, rows = first, -1
            rows, end = rows + ends.count, place + ends.last + 1
            if end - begin >= least_bytes:
                yield ByteRange(begin, end, rows)
                begin, rows = end, 0
        place, quoted = place + len(piece), quoted_after
    if quoted:
        raise UnclosedQuoteError
    yield from _rest(begin, end, place, rows)


def _rest(begin: int, end: int, place: int, rows: int) -> Iterator[ByteRange]:
    """Yield the last range, whose last row may lack its line end."""
    if place - end > MOST_ROW_BYTES:
        if end > begin:
            yield ByteRange(begin, end, rows)
        yield ByteRange(end, place, 1, too_long=True)
    elif place > begin:
        yield ByteRange(begin, place, rows + (place > end))


@dataclass(frozen=True)
class _LineEnds:
    """How many line ends a piece holds, and where the first and the last are."""

    count: int
    first: int
    last: int


def _plain_line_ends(piece: bytes) -> _LineEnds:
    return _LineEnds(piece.count(_NEWLINE), piece.find(_NEWLINE), piece.rfind(_NEWLINE))


def _line_ends(piece: bytes, *, quoted: bool) -> _LineEnds:
    """Return the line ends that are not within quotes.

    Args:
        quoted: Whether the piece begins within quotes.
    """
    if _QUOTE not in piece:
        return _LineEnds(0, -1, -1) if quoted else _plain_line_ends(piece)
    count, first, last, place = 0, -1, -1, 0
    for part, within in zip(piece.split(_QUOTE), cycle((quoted, not quoted)), strict=False):
        if not within and (found := part.count(_NEWLINE)):
            count += found
            first = place + part.find(_NEWLINE) if first < 0 else first
            last = place + part.rfind(_NEWLINE)
        place += len(part) + 1
    return _LineEnds(count, first, last)

"""Files of lines are cut at the ends of rows, into all of their bytes, once each."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.batch import line_ranges
from passerelle.batch.line_ranges import UnclosedQuoteError, byte_ranges

CELLS = st.text(st.sampled_from('ab",;\né\r'), max_size=8)


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[place : place + size] for place in range(0, len(content), size)]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=20), st.integers(1, 40), st.integers(1, 60))
def test_each_row_of_csv_is_in_one_range(rows: list[tuple[str, str]], size: int, range_bytes: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    content = text.getvalue().encode()
    found = list(byte_ranges(pieces(content, size), quotes=True, range_bytes=range_bytes))
    assert b"".join(content[each.begin : each.end] for each in found) == content
    read = [list(csv.reader(io.StringIO(content[each.begin : each.end].decode(), newline=""))) for each in found]
    assert [tuple(row) for part in read for row in part] == rows
    assert [each.rows for each in found] == [len(part) for part in read]


@given(st.lists(st.sampled_from([b'{"a"', b"", b"12"]), max_size=12), st.booleans(), st.integers(1, 9))
def test_quotes_mean_nothing_in_json_lines_and_the_last_line_may_lack_its_end(lines: list[bytes], ended: bool, size: int) -> None:
    content = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    found = list(byte_ranges(pieces(content, size), quotes=False, range_bytes=5))
    assert b"".join(content[each.begin : each.end] for each in found) == content
    assert sum(each.rows for each in found) == len(content.removesuffix(b"\n").split(b"\n")) * bool(content)


def test_a_row_that_is_too_long_is_a_range_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_ranges, "MOST_ROW_BYTES", 10)
    content = b"a\nb\n" + b"x" * 30 + b"\nc\n" + b"y" * 30
    found = list(byte_ranges(pieces(content, 4), quotes=True, range_bytes=1_000))
    assert [(content[each.begin : each.end], each.rows, each.too_long) for each in found] == [
        (b"a\nb\n", 2, False),
        (b"x" * 30 + b"\n", 1, True),
        (b"c\n", 1, False),
        (b"y" * 30, 1, True),
    ]


def test_a_quote_that_is_never_closed_is_found() -> None:
    with pytest.raises(UnclosedQuoteError):
        list(byte_ranges([b'a,"b\nc\n'], quotes=True))

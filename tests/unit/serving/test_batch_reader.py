"""A batch that is read in slices is the batch that is read at once, down to its mistakes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.model.record import Column
from passerelle.serving.batch_reader import read_in_slices
from passerelle.serving.contract import RequestError, contract_of

CONTRACT = contract_of(
    [Column("text", "string"), Column("size", "double", required=False)], max_text_characters=30_000, max_records=1_000, example=None
)


def outcome(read: Any) -> Any:
    """Return what a reader returns or refuses with."""
    try:
        return read()
    except RequestError as refused:
        return refused.status, refused.code, refused.message, refused.field


def in_slices(body: bytes) -> tuple[Any, int]:
    """Return what the slices come to, and how many there were."""
    reading: Generator[None, None, Any] = read_in_slices(CONTRACT, body)
    slices = 1
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value, slices
        slices += 1


def same(body: bytes) -> Any:
    whole = outcome(lambda: CONTRACT.read_several(body))
    assert outcome(lambda: in_slices(body)[0]) == whole
    return whole


def body_of(texts: list[str], option: int = 0) -> bytes:
    return orjson.dumps({"records": [{"text": text} for text in texts]}, option=option)


def test_a_large_batch_is_read_in_slices() -> None:
    body = body_of([f"{place} " + "é" * 200 for place in range(1_000)])
    (records, params), slices = in_slices(body)
    assert (len(records), params, records[999]["text"][:4]) == (1_000, None, "999 ")
    assert slices > len(body) / 16_384
    assert same(body_of(["é" * 200] * 1_000, orjson.OPT_INDENT_2))[0][0]["text"] == "é" * 200


@given(
    st.lists(
        st.sampled_from(['"},{"text":"', "}, {", '\\"},{', "\\", "]}", "é" * 5_000, "x" * 20_000, '"}]}', "{", " "]),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([0, orjson.OPT_INDENT_2]),
)
def test_texts_that_look_like_json_are_texts(texts: list[str], option: int) -> None:
    same(body_of([f"a{text}" for text in texts] * 4, option))


@given(st.data())
def test_a_changed_body_is_refused_as_at_once(data: st.DataObject) -> None:
    body = bytearray(body_of(["aucune réponse " * 60] * 60))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place : place + data.draw(st.integers(0, 30))] = data.draw(
        st.sampled_from([b"", b"}", b'"', b"},{", b'{"text":1},', b'"}]}', b"\xff"])
    )
    same(bytes(body))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (body_of(["a" * 10] * 1_001), "too_many_records"),
        (body_of(["a" * 500] * 999 + [""]), "invalid_record"),
        (body_of(["a" * 500] * 999)[:-1], "malformed_json"),
        (body_of(["a" * 500] * 999)[:-2] + b',"other":1]}', "malformed_json"),
        (body_of(["a" * 500] * 99)[:-1] + b',"other":1}', "invalid_record"),
        (body_of(["a" * 500] * 99).replace(b'"},{"', b'"},,{"', 1), "malformed_json"),
        (b'{"records":' + b" " * 5_000 + b"[]}", "invalid_record"),
        (b" " * 5_000 + b'{"records":[]}' + b" " * 100, "invalid_record"),
        (b" " * 5_000, "malformed_json"),
    ],
)
def test_mistakes_are_named_as_at_once(body: bytes, expected: str) -> None:
    assert same(body)[1] == expected


def test_duplicated_records_are_read_as_at_once() -> None:
    once = body_of(["a" * 500] * 40)
    same(once[:-1] + b"," + once[1:])

"""A batch that is read in slices is the batch that is read at once, down to its mistakes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.model.record import Column, Param
from passerelle.serving.batch_reader import read_in_slices
from passerelle.serving.contract import Contract, RequestError, contract_of
from passerelle.serving.structure import TOO_MANY_DIGITS

CONTRACT = contract_of(
    [Column("text", "string"), Column("size", "double", required=False)], max_text_characters=30_000, max_records=1_000, example=None
)


def outcome(read: Any) -> Any:
    """Return what a reader returns or refuses with."""
    try:
        return read()
    except RequestError as refused:
        return refused.status, refused.code, refused.message, refused.field


def in_slices(body: bytes, contract: Contract = CONTRACT) -> tuple[Any, int]:
    """Return what the slices come to, and how many there were."""
    reading: Generator[None, None, Any] = read_in_slices(contract, body)
    slices = 1
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value, slices
        except RequestError as refused:
            return (refused.status, refused.code, refused.message, refused.field), slices
        slices += 1


def same(body: bytes) -> Any:
    whole = outcome(lambda: CONTRACT.read_several(body))
    assert in_slices(body)[0] == whole
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


def test_texts_that_look_like_records_do_not_make_it_read_at_once() -> None:
    body = body_of(['"},{"text":"' * 20 + "\\" * (place % 3) for place in range(1_000)])
    assert len(same(body)[0]) == 1_000
    assert in_slices(body)[1] > len(body) / 16_384


def test_mistakes_at_the_end_are_found_in_slices() -> None:
    good = [{"text": "é" * 200, "size": 1.5}] * 998
    for last in ([{"text": 5}], [{"text": "a"}, {"text": ""}], [{"text": "a", "unknown": 1}, {"size": 1}]):
        body = orjson.dumps({"records": good + last})
        assert same(body)[1] == "invalid_record"
        assert in_slices(body)[1] > len(body) / 16_384
    many = orjson.dumps({"records": [{"text": "é" * 400}] * 500 + [{"text": 1}] * 101})
    assert same(many)[2] == "has more than 100 mistakes"


def test_340_000_empty_records_are_refused_after_the_first_of_them() -> None:
    body = b'{"records":[' + b"{}," * 340_000 + b"{}]}"
    assert in_slices(body) == (same(body), 1)
    assert same(body)[1] == "too_many_records"


def test_a_batch_of_a_model_with_params_is_read_in_slices() -> None:
    params = (Param("top", "integer", default=1),)
    contract = contract_of([Column("text", "string")], max_text_characters=30_000, max_records=1_000, example=None, params=params)
    records = [{"text": "é" * 200} for _ in range(1_000)]
    for content in (
        {"records": records, "params": {"top": 3}},
        {"records": records},
        {"params": {"top": "three"}, "records": records},
        {"records": [*records[:900], {"text": 1}], "params": {"top": 3}},
        {"records": records, "params": None},
        {"records": records, "other": 1},
    ):
        body = orjson.dumps(content)
        found, slices = in_slices(body, contract)
        assert found == outcome(lambda body=body: contract.read_several(body))
        assert slices > 20


@pytest.mark.parametrize(("count", "digits", "refused"), [(40, 999, False), (101, 100, True), (1, 1_000, True), (900, 99, False)])
def test_numbers_of_many_digits_are_counted_across_pieces(count: int, digits: int, refused: bool) -> None:
    for before in range(16_384 - 1_200, 16_384, 250):
        body = b'{"records":[' + b" " * before + b",".join([b'{"text":"a","size":%b}' % (b"1" * digits)] * count) + b"]}"
        assert (TOO_MANY_DIGITS in same(body)) == refused


def test_duplicated_records_are_read_as_at_once() -> None:
    once = body_of(["a" * 500] * 40)
    same(once[:-1] + b"," + once[1:])

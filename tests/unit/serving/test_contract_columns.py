"""The contract of dates, bytes, arrays and params: what is taken reaches the model as it was sent, and the rest is named."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.model.record import Column, Param
from passerelle.serving.contract import Contract, RequestError, contract_of
from passerelle.serving.structure import SMALL_BYTES, TOO_MANY_DIGITS
from tests.unit.serving.test_contract_schema import invalid, told

COLUMNS = (
    Column("at", "datetime"),
    Column("scan", "binary"),
    Column("sizes", "array<double>"),
    Column("words", "array<string>", required=False),
    Column("flags", "array<array<boolean>>", required=False),
    Column("point", "array<float>", required=False, lengths=(2,)),
)
GOOD: dict[str, Any] = {
    "at": "2026-11-26T12:00:00Z",
    "scan": "UGFyaXM=",
    "sizes": [1.5, 2],
    "words": ["a"],
    "flags": [[True], []],
    "point": [1.0, 2.0],
}
PARAMS = (
    Param("temperature", "double", 0.5),
    Param("most", "long", None),
    Param("stop", "string", ["."], is_list=True),
    Param("since", "datetime", "2026-01-01"),
)


def contract(*columns: Column, params: tuple[Param, ...] = (), ignore_extra: bool = False, items: int = 4) -> Contract:
    return contract_of(
        columns or COLUMNS,
        max_text_characters=10,
        max_records=3,
        example=None,
        params=params,
        max_binary_bytes=6,
        max_array_items=items,
        ignore_extra=ignore_extra,
    )


ALL = contract()


@pytest.mark.parametrize("left_out", [(), ("words", "flags", "point")])
def test_a_record_of_every_type_is_read_as_it_is(left_out: tuple[str, ...]) -> None:
    sent = {name: value for name, value in GOOD.items() if name not in left_out}
    record = GOOD | dict.fromkeys(left_out)
    assert ALL.read_one(json.dumps(sent).encode())[0] == record
    assert ALL.read_one(json.dumps(record).encode())[0] == record
    assert ALL.read_several(json.dumps({"records": [sent, GOOD]}).encode())[0] == [record, GOOD]


TIME = "must be a date, or a date and a time, in ISO 8601"


@pytest.mark.parametrize(
    ("field", "value", "message", "place"),
    [
        ("at", "2026-11-26", None, ""),
        ("at", "2026-11-26 12:00", None, ""),
        ("at", "2026-11-26T12:00:00.123456789+02:00", None, ""),
        ("at", "2026-02-30", TIME, ""),
        ("at", "2026-11-26T25:00", TIME, ""),
        ("at", "20261126", TIME, ""),
        ("at", "2026-W01-1", TIME, ""),
        ("at", "٢٠٢٦-11-26", TIME, ""),
        ("at", "2026-11-26T12:00:00+99:00", TIME, ""),
        ("at", "", TIME, ""),
        ("at", "2" * 41, "is longer than 40 characters", ""),
        ("at", 3, "must be a text", ""),
        ("at", None, "must be a text", ""),
        ("scan", "", None, ""),
        ("scan", "UGFyaXM", "must be base64", ""),
        ("scan", "UGF aXM=", "must be base64", ""),
        ("scan", "UGFyaX=\n", "must be base64", ""),
        ("scan", "A" * 12, "is longer than 8 characters", ""),
        ("scan", 3, "must be a text", ""),
        ("sizes", [], None, ""),
        ("sizes", [1] * 5, "has more than 4 items", ""),
        ("sizes", 1, "must be a list", ""),
        ("sizes", None, "must be a list", ""),
        ("sizes", ["1"], "must be a number", ".0"),
        ("sizes", [1, None], "must be a number", ".1"),
        ("sizes", [float("nan")], "must be a finite number", ".0"),
        ("words", ["a", " "], "must hold more than space", ".1"),
        ("words", ["a" * 11], "is longer than 10 characters", ".0"),
        ("flags", [True], "must be a list", ".0"),
        ("flags", [[1]], "must be true or false", ".0.0"),
        ("point", [1], "has fewer than 2 items", ""),
        ("point", [1, 2, 3], "has more than 2 items", ""),
    ],
)
def test_each_value_is_taken_or_named(field: str, value: Any, message: str | None, place: str) -> None:
    record = GOOD | {field: value}
    if message is None:
        assert ALL.read_one(json.dumps(record).encode())[0] == record
        return
    assert told(ALL, record) == invalid(message, field + place)
    assert told(ALL, {"records": [GOOD, record]}, batch=True) == invalid(message, f"records.1.{field}{place}")


@pytest.mark.parametrize("kind", ["integer", "long"])
def test_a_whole_number_may_have_a_fraction_of_zero(kind: str) -> None:
    of = contract(Column("n", kind))
    for sent, read in (("3", 3), ("3.0", 3), ("-0.0", 0), ("1e3", 1_000), ("12.50e1", 125)):
        found = of.read_one(b'{"n": %s}' % sent.encode())[0]["n"]
        assert (found, type(found)) == (read, int)
    for sent, message in (
        ("3.5", "must be a whole number"), ("true", "must be a whole number"), ('"3.0"', "must be a whole number"),
        ("1e300", "is out of range"), ("1e19", "is out of range"),
    ):  # fmt: skip
        with pytest.raises(RequestError) as refused:
            of.read_one(b'{"n": %s}' % sent.encode())[0]
        assert refused.value.message == message, sent


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
OF_TYPES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text("abc é", min_size=1, max_size=10).filter(lambda text: not text.isspace()),
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "datetime": st.datetimes().map(datetime.isoformat) | st.dates().map(date.isoformat),
    "binary": st.binary(max_size=6).map(lambda data: base64.b64encode(data).decode()),
}
KINDS = [f"{'array<' * depth}{kind}{'>' * depth}" for kind in OF_TYPES for depth in (0, 1, 2)]
BY_KIND = {kind: contract(Column("value", kind), Column("more", kind, required=False)) for kind in KINDS}


def values_of(column: Column) -> st.SearchStrategy[Any]:
    values = OF_TYPES[column.scalar]
    for _ in range(column.depth):
        values = st.lists(values, max_size=4)
    return values


@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_any_value_of_a_type_is_read_as_it_was_sent(data: st.DataObject, kind: str) -> None:
    column = Column("value", kind)
    record = {"value": data.draw(values_of(column)), "more": data.draw(st.none() | values_of(column))}
    body = json.dumps(record).encode()
    # The arrays of a long body together hold no more items than one array may.
    longer = 0 if column.depth else data.draw(st.sampled_from([0, SMALL_BYTES + 1]))
    assert BY_KIND[kind].read_one(body.ljust(longer))[0] == record
    jsonschema.validate(record, BY_KIND[kind].record.model_json_schema())


@given(value=JSON_VALUES, kind=st.sampled_from(KINDS))
def test_any_other_value_is_refused_with_its_field_or_read_as_it_was_sent(value: Any, kind: str) -> None:
    body = json.dumps({"value": value}).encode()
    try:
        assert BY_KIND[kind].read_one(body)[0] == {"value": value, "more": None}
    except Exception as error:  # noqa: BLE001 - what it is, is asserted
        refusal: Any = error
        assert (refusal.status, refusal.code) == (422, "invalid_record")
        assert refusal.field.startswith("value")


def test_the_schemas_say_what_is_accepted() -> None:
    properties = ALL.record.model_json_schema()["properties"]
    assert properties["at"]["anyOf"] == [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]
    assert (properties["scan"]["contentEncoding"], properties["scan"]["maxLength"]) == ("base64", 8)
    assert (properties["sizes"]["type"], properties["sizes"]["maxItems"], properties["sizes"]["items"]) == ("array", 4, {"type": "number"})
    assert properties["words"]["anyOf"][1] == {"type": "null"}
    point = properties["point"]["anyOf"][0]
    assert (point["minItems"], point["maxItems"]) == (2, 2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"sizes": [' + b"1," * 4_000 + b"1]}", "has more values than a record has fields"),
        (b'{"words": [' + b'"",' * 4_000 + b'""]}', "has more values than a record has fields"),
        (b'{"sizes": ' + b"[" * 4_000 + b"]" * 4_000 + b"}", "has more values than a record has fields"),
        (b'{"sizes": [1' + b"0" * 5_000 + b"]}", TOO_MANY_DIGITS),
    ],
)
def test_a_body_with_too_many_items_is_refused_before_it_is_parsed(body: bytes, message: str) -> None:
    assert told(ALL, body) == invalid(message, None)


def test_as_many_items_as_allowed_are_read_from_a_large_body() -> None:
    of = contract(Column("words", "array<string>"), items=2_000)
    body = json.dumps({"words": ["abc"] * 2_000}).encode()
    assert len(body) > SMALL_BYTES
    assert of.read_one(body)[0] == {"words": ["abc"] * 2_000}


TEXT = Column("text", "string")
WITH_PARAMS = contract(TEXT, params=PARAMS)
DEFAULTS = {"temperature": 0.5, "most": None, "stop": ["."], "since": "2026-01-01"}


@pytest.mark.parametrize(
    ("sent", "params"),
    [
        (None, DEFAULTS),
        ({}, DEFAULTS),
        ({"temperature": 1, "most": 3}, DEFAULTS | {"temperature": 1.0, "most": 3}),
        ({"stop": [], "since": "2026-11-26T12:00"}, DEFAULTS | {"stop": [], "since": "2026-11-26T12:00"}),
        ({"most": None}, DEFAULTS),
    ],
)
@pytest.mark.parametrize("size", [0, SMALL_BYTES + 1])
def test_params_are_read_beside_the_columns(sent: Any, params: dict[str, Any], size: int) -> None:
    beside = {} if sent is None else {"params": sent}
    body, batch = {"text": "a", **beside}, {"records": [{"text": "a"}, {"text": "b"}], **beside}
    assert WITH_PARAMS.read_one(json.dumps(body).encode().ljust(size)) == ({"text": "a"}, params)
    assert WITH_PARAMS.read_several(json.dumps(batch).encode().ljust(size)) == ([{"text": "a"}, {"text": "b"}], params)
    assert WITH_PARAMS.read_one(json.dumps(body).encode())[0] == {"text": "a"}


@pytest.mark.parametrize(
    ("params", "message", "place"),
    [
        ({"temperature": "1"}, "must be a number", ".temperature"),
        ({"temperature": None}, "must be a number", ".temperature"),
        ({"most": 1.5}, "must be a whole number", ".most"),
        ({"stop": "."}, "must be a list", ".stop"),
        ({"stop": ["a"] * 5}, "has more than 4 items", ".stop"),
        ({"stop": [1]}, "must be a text", ".stop.0"),
        ({"since": "now"}, TIME, ".since"),
        ({"other": 1}, "the model has no such parameter", ".other"),
        ([], "must be an object", ""),
        (None, "must be an object", ""),
    ],
)
def test_a_wrong_param_is_named(params: Any, message: str, place: str) -> None:
    assert told(WITH_PARAMS, {"text": "a", "params": params}) == invalid(message, "params" + place)
    assert told(WITH_PARAMS, {"records": [{"text": "a"}], "params": params}, batch=True) == invalid(message, "params" + place)


def test_a_column_of_that_name_stays_a_column() -> None:
    of = contract(Column("params", "string"), Column("params_", "string"), params=PARAMS)
    body = {"params": "a", "params_": "b", "params__": {"most": 3}}
    assert of.read_one(json.dumps(body).encode()) == ({"params": "a", "params_": "b"}, DEFAULTS | {"most": 3})
    batch = {"records": [{"params": "a", "params_": "b"}], "params": {"most": 3}}
    assert of.read_several(json.dumps(batch).encode()) == ([{"params": "a", "params_": "b"}], DEFAULTS | {"most": 3})
    assert of.params_field == "params__"


def test_without_params_in_the_signature_there_is_no_such_field() -> None:
    assert told(contract(TEXT), {"text": "a", "params": {}}) == invalid("this field is not part of the record", "params")
    assert contract(TEXT).read_one(b'{"text": "a"}') == ({"text": "a"}, None)


def test_unknown_fields_are_left_out_where_the_setting_says_so() -> None:
    of = contract(TEXT, params=PARAMS, ignore_extra=True)
    record = {"text": "a", "id": 3, "nested": {"a": [1, {"b": "c"}]}, "params": {"other": 1}}
    assert of.read_one(json.dumps(record).encode()) == ({"text": "a"}, DEFAULTS)
    assert of.read_one(json.dumps(record).encode().ljust(SMALL_BYTES + 1)) == ({"text": "a"}, DEFAULTS)
    assert of.read_several(json.dumps({"records": [record | {"params": 1}] * 3}).encode())[0] == [{"text": "a"}] * 3
    assert told(of, {"records": [{"text": "a"}], "more": 1}, batch=True) == invalid("this field is not part of the record", "more")
    assert told(of, {"text": 1, "id": 3}) == invalid("must be a text", "text")
    many = b'{"text": "a", "more": [' + b"1," * 4_000 + b"1]}"
    assert told(of, many) == invalid("has more values than a record has fields", None)

"""The contract of a record of any columns: each bound to the unit, and each mistake by its sentence and its field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passerelle.model.record import Column
from passerelle.serving.answer_schemas import BatchPrediction, LabelProbability, Prediction
from passerelle.serving.contract import Contract, ErrorAnswer, RequestError, contract_of
from passerelle.serving.field_types import not_blank
from passerelle.serving.structure import SMALL_BYTES, TOO_MANY_DIGITS

COLUMNS = (
    Column("text", "string"),
    Column("truth", "boolean"),
    Column("count", "integer"),
    Column("total", "long"),
    Column("share", "float"),
    Column("size", "double"),
)
GOOD: dict[str, Any] = {"text": "merci", "truth": True, "count": 1, "total": 2, "share": 0.5, "size": 1.5}


def contract(*columns: Column, characters: int = 10, records: int = 3, example: dict[str, Any] | None = None) -> Contract:
    return contract_of(columns or COLUMNS, max_text_characters=characters, max_records=records, example=example)


ALL = contract()
TEXT = contract(Column("text", "string"))


def told(of: Contract, body: Any, *, batch: bool = False) -> tuple[int, str, str, str | None]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(RequestError) as found:
        (of.read_several if batch else of.read_one)(content)
    refusal = found.value
    assert refusal.headers == ()
    return refusal.status, refusal.code, refusal.message, refusal.field


def invalid(message: str, field: str | None) -> tuple[int, str, str, str | None]:
    return 422, "invalid_record", message, field


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"truth": False},
        {"count": 2**31 - 1},
        {"count": -(2**31)},
        {"total": 2**63 - 1},
        {"total": -(2**63)},
        {"share": 3, "size": -4},
        {"size": 1.7976931348623157e308, "share": -1e-300},
        {"text": "x" * 10},
        {"text": " x "},
    ],
)
def test_values_up_to_their_bounds_are_read_as_they_are(values: dict[str, Any]) -> None:
    record = GOOD | values
    assert ALL.read_one(json.dumps(record).encode())[0] == record
    assert ALL.read_several(json.dumps({"records": [record, GOOD]}).encode())[0] == [record, GOOD]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("count", 2**31, "is out of range"),
        ("count", -(2**31) - 1, "is out of range"),
        ("total", 2**63, "is out of range"),
        ("total", -(2**63) - 1, "is out of range"),
        ("total", 10**500, "is out of range"),
        ("count", 1.5, "must be a whole number"),
        ("count", "1", "must be a whole number"),
        ("count", True, "must be a whole number"),
        ("total", None, "must be a whole number"),
        ("size", float("inf"), "must be a finite number"),
        ("share", float("nan"), "must be a finite number"),
        ("size", "1", "must be a number"),
        ("share", True, "must be a number"),
        ("truth", 1, "must be true or false"),
        ("truth", "true", "must be true or false"),
        ("text", "", "must not be empty"),
        ("text", " \u00a0\n", "must hold more than space"),
        ("text", "x" * 11, "is longer than 10 characters"),
        ("text", 3, "must be a text"),
        ("text", None, "must be a text"),
        ("more", 1, "this field is not part of the record"),
    ],
)
def test_each_mistake_has_its_sentence_and_its_field(field: str, value: Any, message: str) -> None:
    record = GOOD | {field: value}
    assert told(ALL, record) == invalid(message, field)
    assert told(ALL, {"records": [GOOD, record]}, batch=True) == invalid(message, f"records.1.{field}")


def test_infinity_is_refused_where_it_is_a_number_that_is_too_large() -> None:
    body = json.dumps(GOOD).replace("1.5", "1e999").encode()
    assert told(ALL, body) == invalid("must be a finite number", "size")


@pytest.mark.parametrize(
    ("body", "batch", "answer"),
    [
        ({name: value for name, value in GOOD.items() if name != "total"}, False, invalid("a required field is missing", "total")),
        ([GOOD], False, invalid("must be an object", None)),
        ("merci", False, invalid("must be an object", None)),
        ({"records": GOOD}, True, invalid("must be a list", "records")),
        ({"records": []}, True, invalid("must hold at least one record", "records")),
        ({"records": [GOOD], "more": 1}, True, invalid("this field is not part of the record", "more")),
        ({}, True, invalid("a required field is missing", "records")),
        ({"records": [1]}, True, invalid("must be an object", "records.0")),
        ({"records": [GOOD] * 4}, True, (422, "too_many_records", "has more than 3 records", "records")),
        (b"{", False, (400, "malformed_json", "the body is not JSON", None)),
        (b"", True, (400, "malformed_json", "the body is not JSON", None)),
        ({"é" * 100: 1}, False, invalid("a required field is missing", "text")),
    ],
)
def test_what_is_no_record_or_no_batch_is_refused(body: Any, batch: bool, answer: tuple[Any, ...]) -> None:
    assert told(ALL, body, batch=batch) == answer


def test_half_a_character_is_not_unicode() -> None:
    status, code, _, _ = told(TEXT, b'{"text": "\\ud800"}')
    assert (status, code) == (400, "malformed_json")


def test_a_field_is_named_up_to_eighty_characters() -> None:
    assert told(TEXT, {"text": "a", "b" * 100: 1}) == invalid("this field is not part of the record", "b" * 80)


def test_fields_that_are_not_required_may_be_left_out_or_null() -> None:
    of = contract(Column("text", "string", required=False), Column("count", "integer", required=False))
    nothing = {"text": None, "count": None}
    assert of.read_one(b"{}")[0] == of.read_one(json.dumps(nothing).encode())[0] == nothing
    assert of.read_one(b'{"count": 3}')[0] == {"text": None, "count": 3}
    assert told(of, {"text": ""}) == invalid("must not be empty", "text")


NAMES = ("class", "_private", "1st", "a b", "model_dump", "copy", "ok", "field_9")


def test_columns_that_are_no_python_names_keep_their_own_names() -> None:
    of = contract(*(Column(name, "integer") for name in NAMES))
    record = {name: place for place, name in enumerate(NAMES)}
    assert of.read_one(json.dumps(record).encode())[0] == record
    assert list(of.read_one(json.dumps(record).encode())[0]) == list(NAMES)
    assert of.columns == NAMES
    assert of.renamed == {f"field_{place}": name for place, name in enumerate(NAMES[:6])}
    assert told(of, record | {"class": "x"})[3] == "class"
    assert told(of, {"field_0": 1} | record)[3] == "field_0", "the Python name is not a name of the record"
    assert ALL.renamed == {}


def big(content: bytes, size: int) -> bytes:
    """Return a body of this size, with space at its end."""
    return content.ljust(size)


MANY_VALUES = b'{"text": [' + b"1," * 200 + b"1]}"
LONG_NUMBER = b'{"text": ' + b"9" * 1_500 + b"}"
UNKNOWN = b'{"' + b"n" * 100 + b'": [' + b"1," * 200 + b"1]}"


@pytest.mark.parametrize(
    ("body", "batch", "small", "large"),
    [
        (MANY_VALUES, False, "must be a text", ("invalid_record", "has more values than a record has fields", None)),
        (UNKNOWN, False, "a required field is missing", ("invalid_record", "this field is not part of the record", "n" * 80)),
        (LONG_NUMBER, False, "must be a text", ("invalid_record", TOO_MANY_DIGITS, None)),
        (
            b'{"records": [' + b'{"text": "a"},' * 3 + b'{"text": "a"}]}',
            True,
            "has more than 3 records",
            ("too_many_records", "has more than 3 records", "records"),
        ),
        (
            b'{"records": [' + b'{"text": "a"},' * 5,
            True,
            "the body is not JSON",
            ("too_many_records", "has more than 3 records", "records"),
        ),
        (
            b'{"records": [' + MANY_VALUES + b"]}",
            True,
            "must be a text",
            ("invalid_record", "has more values than a record has fields", None),
        ),
    ],
)
def test_a_large_body_with_too_much_in_it_is_refused_before_it_is_parsed(
    body: bytes, batch: bool, small: str, large: tuple[str, str, str | None]
) -> None:
    assert told(TEXT, big(body, SMALL_BYTES), batch=batch)[2] == small
    assert told(TEXT, big(body, SMALL_BYTES + 1), batch=batch) == (422, *large)


def test_a_large_body_that_fits_is_read() -> None:
    assert TEXT.read_one(big(b'{"text": "a"}', 10_000))[0] == {"text": "a"}
    assert TEXT.read_several(big(b'{"records": [{"text": "a"}]}', 10_000))[0] == [{"text": "a"}]
    assert told(TEXT, big(b'{"text": 1}', 10_000)) == invalid("must be a text", "text")
    assert told(TEXT, big(b'{"records": 1}', 10_000), batch=True) == invalid("must be a list", "records")


def test_a_refusal_is_an_exception_of_its_own_whatever_it_says() -> None:
    one, other = RequestError(400, "malformed_json", "the body is not JSON"), RequestError(400, "malformed_json", "the body is not JSON")
    assert one != other
    assert len({one, other}) == 2, "logging and tracing keep exceptions in sets"


def test_many_mistakes_are_not_listed() -> None:
    of = contract(Column("text", "string"), records=1_000)
    assert told(of, {"records": [{"text": 1}] * 100}, batch=True) == invalid("must be a text", "records.0.text")
    assert told(of, {"records": [{"text": 1}] * 101}, batch=True) == invalid("has more than 100 mistakes", None)


def test_a_text_of_anything_but_space_is_not_blank() -> None:
    assert not_blank("") == ""
    assert not_blank(" a") == " a"
    with pytest.raises(ValueError, match="blank"):
        not_blank(" ")


def test_the_schemas_say_what_is_accepted() -> None:
    of = contract(example={"text": "merci"})
    record, batch = of.record.model_json_schema(), of.batch.model_json_schema()
    assert record["example"] == {"text": "merci"}
    assert batch["example"] == {"records": [{"text": "merci"}]}
    assert "example" not in ALL.record.model_json_schema()
    assert "example" not in ALL.batch.model_json_schema()
    assert record["additionalProperties"] is batch["additionalProperties"] is False
    assert record["properties"]["text"] | {"title": ""} == {"maxLength": 10, "minLength": 1, "title": "", "type": "string"}
    limits = {name: (of["minimum"], of["exclusiveMaximum"]) for name, of in record["properties"].items() if "minimum" in of}
    assert limits == {"count": (-(2**31), 2**31), "total": (-(2**63), 2**63)}
    assert (batch["properties"]["records"]["minItems"], batch["properties"]["records"]["maxItems"]) == (1, 3)


def test_the_answers_say_what_they_hold() -> None:
    probability = LabelProbability.model_json_schema()["properties"]["probability"]
    assert (probability["minimum"], probability["maximum"]) == (0, 1)
    assert set(Prediction.model_json_schema()["required"]) == {"label", "probability", "top", "model_version", "prediction_id", "review"}
    assert BatchPrediction.model_json_schema()["required"] == ["predictions"]
    assert ErrorAnswer.model_json_schema()["required"] == ["code", "message", "request_id"]
    assert ErrorAnswer(code="c", message="m", request_id="r").field is None

"""A batch of a foreign protocol holds the event loop no longer than one of the service's own."""

from __future__ import annotations

import struct
from collections.abc import Generator, Mapping
from typing import Any

import orjson
import pytest

from passerelle.model.record import Column
from passerelle.serving.contract import RequestError, contract_of
from passerelle.serving.doors.invocations import Invocations
from passerelle.serving.doors.open_inference import OpenInference
from passerelle.serving.doors.predict_v1 import PredictV1
from passerelle.serving.doors.question import Door, checked

COLUMNS = [Column("text", "string")]
CONTRACT = contract_of(COLUMNS, max_text_characters=20_000, max_records=1_000, example=None)
JSON = {b"content-type": b"application/json"}
RECORDS = [{"text": f"{place} " + "é" * 200} for place in range(1_000)]
TEXTS = [record["text"] for record in RECORDS]
#: Bodies of the same 1,000 records.
BODIES: Mapping[str, tuple[Door, bytes, dict[bytes, bytes]]] = {
    "v1": (PredictV1(), orjson.dumps({"instances": RECORDS}), JSON),
    "v2": (
        OpenInference(),
        orjson.dumps({"inputs": [{"name": "text", "shape": [1_000], "datatype": "BYTES", "data": TEXTS}]}),
        JSON,
    ),
    "invocations": (Invocations(), orjson.dumps({"dataframe_records": RECORDS}), JSON),
    "csv": (Invocations(), "\n".join(["text", *TEXTS]).encode(), {b"content-type": b"text/csv"}),
}


def slices_of(work: Generator[None, None, Any]) -> tuple[Any, int]:
    """Return what comes of the work, and how often it could be interrupted."""
    count = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, count
        count += 1


@pytest.mark.parametrize("name", BODIES)
def test_a_large_batch_is_read_in_slices(name: str) -> None:
    door, body, headers = BODIES[name]
    question, reading = slices_of(door.read(body, headers, CONTRACT, COLUMNS))
    (records, params), checking = slices_of(checked(question, CONTRACT))
    assert (records, params) == (RECORDS, None)
    assert reading >= 15
    assert checking >= 15


def test_a_mistake_far_behind_is_named_by_its_place() -> None:
    body = orjson.dumps({"instances": [*RECORDS[:900], {"text": ""}, {"text": 1}]})
    question, _ = slices_of(PredictV1().read(body, JSON, CONTRACT, COLUMNS))
    with pytest.raises(RequestError) as refused:
        slices_of(checked(question, CONTRACT))
    assert (refused.value.status, refused.value.field) == (400, "records.900.text")


def test_empty_records_are_refused_after_the_first_of_them() -> None:
    reading = PredictV1().read(b'{"instances":[' + b"{}," * 340_000 + b"{}]}", JSON, CONTRACT, COLUMNS)
    with pytest.raises(RequestError) as refused:
        next(reading)
    assert refused.value.code == "invalid_request"


CSV = {b"content-type": b"text/csv"}
NUMBERS = [Column("x", "array<double>")]


def binary_body(column: str, shape: list[int], datatype: str, data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the body of an inference request with one binary tensor, and its headers."""
    tensor = {"name": column, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    content = orjson.dumps({"inputs": [tensor]})
    return content + data, {b"inference-header-content-length": b"%d" % len(content)}


def test_binary_texts_are_unpacked_in_slices() -> None:
    data = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in TEXTS)
    body, headers = binary_body("text", [1_000], "BYTES", data)
    question, reading = slices_of(OpenInference().read(body, headers, CONTRACT, COLUMNS))
    assert question.records == RECORDS
    assert reading >= 7


def test_binary_arrays_are_unpacked_in_slices() -> None:
    contract = contract_of(NUMBERS, max_text_characters=100, max_records=1_000, example=None)
    body, headers = binary_body("x", [50, 1_000], "FP64", struct.pack("<d", 0.5) * 50_000)
    question, reading = slices_of(OpenInference().read(body, headers, contract, NUMBERS))
    assert question.records == [{"x": [0.5] * 1_000}] * 50
    assert reading >= 20


@pytest.mark.parametrize("shape", [[1, 1_000_000], [1_000, 1_000], [1, 1 << 62]])
def test_more_elements_than_the_arrays_of_a_request_may_have_are_not_unpacked(shape: list[int]) -> None:
    contract = contract_of(NUMBERS, max_text_characters=100, max_records=1_000, example=None)
    body, headers = binary_body("x", shape, "INT8", b"\1" * 1_000_000)
    with pytest.raises(RequestError, match="more values than its records can have"):
        next(OpenInference().read(body, headers, contract, NUMBERS))


def test_empty_lines_are_read_in_slices_too() -> None:
    question, reading = slices_of(Invocations().read(b"text\n" + b"\n" * 20_000 + b"merci\n", CSV, CONTRACT, COLUMNS))
    assert (question.records, reading) == ([{"text": "merci"}], 312)


@pytest.mark.parametrize("before", ["", "text\n"])
def test_a_line_of_commas_is_refused_before_its_cells_are_made(before: str) -> None:
    with pytest.raises(RequestError, match="commas"):
        next(Invocations().read(before.encode() + b"," * 100_000, CSV, CONTRACT, COLUMNS))


@pytest.mark.parametrize("depth", [300, 1_000])
def test_arrays_nested_too_deeply_are_refused(depth: int) -> None:
    question, _ = slices_of(PredictV1().read(b'{"instances":[' + b"[" * depth + b"]" * depth + b"]}", JSON, CONTRACT, COLUMNS))
    with pytest.raises(RequestError, match="nested too deeply"):
        slices_of(checked(question, CONTRACT))


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
def test_an_infinite_number_is_not_one_that_was_left_out(cell: str) -> None:
    columns = [Column("x", "double", required=False), Column("y", "double")]
    contract = contract_of(columns, max_text_characters=100, max_records=10, example=None)
    question, _ = slices_of(Invocations().read(f"x,y\n{cell},1\n".encode(), CSV, contract, columns))
    with pytest.raises(RequestError) as refused:
        slices_of(checked(question, contract))
    assert refused.value.field == "records.0.x"

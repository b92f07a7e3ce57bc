"""A batch of a foreign protocol holds the event loop no longer than one of the service's own."""

from __future__ import annotations

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

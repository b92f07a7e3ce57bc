"""The contract stays what clients were made for: compared with the released one, and the comparison itself with every kind of break."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passerelle.model.mlmodel import ModelDescription
from passerelle.model.record import Column
from passerelle.serving.contract import contract_of
from passerelle.serving.openapi import openapi
from passerelle.settings import ServiceSettings
from tests.unit.serving.openapi_breaks import breaks

Document = dict[str, Any]
Change = Callable[[Document], Any]
# A release replaces it: `passerelle openapi > tests/unit/serving/released_openapi.json`.
RELEASED = Path(__file__).with_name("released_openapi.json")


@pytest.fixture
def released() -> Document:
    return dict(json.loads(RELEASED.read_text(encoding="utf-8")))


def test_the_contract_of_today_breaks_no_released_client(released: Document) -> None:
    settings = ServiceSettings.read()
    example = {"text": "aucune réponse depuis mars"}
    description = ModelDescription("model.skops", (Column("text", "string"),), {}, {}, example)
    contract = contract_of(
        description.columns, example=example, max_text_characters=settings.max_text_characters, max_records=settings.max_records
    )
    assert breaks(released, openapi(contract, description)) == []


def test_the_headers_that_choose_a_version_are_described() -> None:
    description = ModelDescription("model.skops", (Column("text", "string"),), {}, {}, {"text": "aucune réponse"})
    document = openapi(contract_of(description.columns, example=None, max_text_characters=100, max_records=3), description)
    for path in ("/classify", "/classify/batch"):
        described = operation(dict(document), path)
        assert [each["name"] for each in described["parameters"]] == ["X-Least-Model-Version", "X-Rollout-Key"]
        assert not any(each["required"] for each in described["parameters"])
        assert "Retry-After" in described["responses"]["409"]["headers"]


def schema(document: Document, name: str, field: str | None = None) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found if field is None else found["properties"][field]


def operation(document: Document, path: str = "/classify", method: str = "post") -> Document:
    found: Document = document["paths"][path][method]
    return found


def nested(document: Document) -> None:
    schema(document, "LabelProbability")["properties"]["probability"] = {"type": "string"}


BREAKS: dict[str, tuple[Change, str]] = {
    "path removed": (lambda d: d["paths"].pop("/classify/batch"), "POST /classify/batch: removed"),
    "method removed": (lambda d: d["paths"]["/model"].pop("get"), "GET /model: removed"),
    "status removed": (lambda d: operation(d)["responses"].pop("422"), "POST /classify: 422: removed"),
    "header removed": (lambda d: operation(d)["responses"]["503"].pop("headers"), "POST /classify: 503: header Retry-After removed"),
    "media type of an answer removed": (
        lambda d: operation(d)["responses"]["200"].update(content={"text/plain": {"schema": {"type": "string"}}}),
        "POST /classify: 200: application/json removed",
    ),
    "media type of a request removed": (
        lambda d: operation(d)["requestBody"].update(content={"text/plain": {"schema": {"type": "string"}}}),
        "POST /classify: request: application/json removed",
    ),
    "operation renamed": (lambda d: operation(d).update(operationId="predict"), "POST /classify: operationId"),
    "key required": (lambda d: d.update(security=[{"key": []}]), "POST /classify: needs a key now"),
    "parameter required": (
        lambda d: operation(d).update(parameters=[{"in": "query", "name": "langue", "required": True, "schema": {"type": "string"}}]),
        "POST /classify: parameter langue newly required",
    ),
    "request field added as required": (
        lambda d: (
            schema(d, "Record")["properties"].update(langue={"type": "string"}),
            schema(d, "Record")["required"].append("langue"),
        ),
        "POST /classify: request.langue: required",
    ),
    "request field removed": (lambda d: schema(d, "Record").update(properties={}, required=[]), "POST /classify: request.text: no such"),
    "request field retyped": (lambda d: schema(d, "Record", "text").update(type="integer"), "POST /classify: request.text: string against"),
    "longest text shortened": (lambda d: schema(d, "Record", "text").update(maxLength=19_999), "request.text: maxLength"),
    "longest text of a batch shortened": (lambda d: schema(d, "Record", "text").update(maxLength=1), "request.records[].text: maxLength"),
    "shortest text lengthened": (lambda d: schema(d, "Record", "text").update(minLength=2), "POST /classify: request.text: minLength"),
    "pattern added": (lambda d: schema(d, "Record", "text").update(pattern="^[a-z]"), "POST /classify: request.text: pattern"),
    "request enum added": (lambda d: schema(d, "Record", "text").update(enum=["a"]), "POST /classify: request.text: enum"),
    "batch made smaller": (lambda d: schema(d, "Records", "records").update(maxItems=10), "request.records: maxItems"),
    "answer field removed": (lambda d: schema(d, "Prediction")["properties"].pop("review"), "POST /classify: 200.review: not described"),
    "answer field made optional": (lambda d: schema(d, "Prediction")["required"].remove("label"), "POST /classify: 200.label: required"),
    "answer field retyped": (
        lambda d: schema(d, "Prediction", "review").update(type="string"),
        "POST /classify: 200.review: string against",
    ),
    "answer field made nullable": (lambda d: schema(d, "Prediction", "label").update(type=["string", "null"]), "200.label: null against"),
    "answer field retyped deep inside": (nested, "POST /classify/batch: 200.predictions[].top[].probability: string against number"),
    "bound of an answer lifted": (lambda d: schema(d, "LabelProbability", "probability").pop("maximum"), "top[].probability: maximum"),
    "error envelope changed": (lambda d: schema(d, "ErrorAnswer")["properties"].pop("code"), "POST /classify: 400.code: not described"),
    "optional answer field removed": (lambda d: schema(d, "ErrorAnswer")["properties"].pop("field"), "400.field: not described"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_break_is_found(released: Document, kind: str) -> None:
    change, expected = BREAKS[kind]
    current = copy.deepcopy(released)
    change(current)
    found = breaks(released, current)
    assert any(expected in line for line in found), found


FINE: dict[str, Change] = {
    "nothing": dict,
    "path added": lambda d: d["paths"].update({"/feedback": {"post": {"operationId": "feedback", "responses": {}}}}),
    "status added": lambda d: operation(d, "/model", "get")["responses"].update({"401": {"description": "a key"}}),
    "optional request field": lambda d: schema(d, "Record")["properties"].update(langue={"type": "string"}),
    "optional parameter": lambda d: operation(d).update(parameters=[{"in": "query", "name": "top", "schema": {"type": "integer"}}]),
    "answer field added": lambda d: schema(d, "Prediction")["properties"].update(language={"type": "string"}),
    "limit raised": lambda d: schema(d, "Record", "text").update(maxLength=50_000),
    "request field that may be null": lambda d: schema(d, "Record", "text").update(type=["string", "null"]),
    "answer field never null any more": lambda d: schema(d, "Prediction").update(
        properties=schema(d, "Prediction")["properties"] | {"probability": {"type": "number"}}
    ),
    "whole numbers for numbers": lambda d: schema(d, "LabelProbability", "probability").update(type="integer"),
    "words changed": lambda d: schema(d, "Record", "text").update(title="Texte", description="autre"),
    "schema renamed": lambda d: (
        d["components"]["schemas"].update(Comment=schema(d, "Record")),
        operation(d)["requestBody"]["content"]["application/json"].update(schema={"$ref": "#/components/schemas/Comment"}),
    ),
}


@pytest.mark.parametrize("kind", FINE)
def test_what_breaks_nobody_is_not_reported(released: Document, kind: str) -> None:
    current = copy.deepcopy(released)
    FINE[kind](current)
    assert breaks(released, current) == []


@pytest.mark.parametrize(
    ("was", "now", "broken"),
    [(["a", "b"], ["a"], False), (["a"], ["a", "b"], True), (["a"], None, True), (None, ["a"], False)],
    ids=["narrowed", "widened", "removed", "added"],
)
def test_an_enum_of_an_answer_may_only_shrink(released: Document, was: list[str] | None, now: list[str] | None, broken: bool) -> None:
    current = copy.deepcopy(released)
    for document, values in ((released, was), (current, now)):
        if values is not None:
            schema(document, "Prediction", "label")["enum"] = values
    assert any("200.label: enum" in line for line in breaks(released, current)) is broken


def test_what_the_comparison_does_not_understand_is_not_passed_over(released: Document) -> None:
    current = copy.deepcopy(released)
    schema(current, "Record")["allOf"] = [{"required": ["text"]}]
    with pytest.raises(NotImplementedError):
        breaks(released, current)

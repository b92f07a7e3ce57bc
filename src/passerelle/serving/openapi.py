"""The OpenAPI description of the contract, with an example for each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from passerelle import __version__
from passerelle.model.mlmodel import ModelDescription
from passerelle.names import CLASSIFY, FEEDBACK
from passerelle.serving.answer_schemas import AnswerSchemas, answer_example, answers_of
from passerelle.serving.contract import Contract, ErrorAnswer
from passerelle.serving.feedback import feedback_schema
from passerelle.serving.openapi_texts import GROUPS, class_list, text_examples
from passerelle.serving.routes import LIVEZ, MODEL, READYZ, Access, route_of

_PREDICTION_ID = "019d2f3a-7c41-7b52-8f0e-3c5a9f86d081"
_READY = "Whether the model is loaded and reproduced its golden predictions"
_REF = "#/components/schemas/{model}"
ERRORS: tuple[tuple[int, str, dict[str, str]], ...] = (
    (400, "The body is not JSON.", {"code": "malformed_json", "message": "the body is not JSON"}),
    (401, "Away from loopback an API key is needed.", {"code": "unauthorized", "message": "send a valid API key: Authorization: Bearer …"}),
    (
        403,
        "The API key lacks the right for this; without one, a page of another site asked.",
        {"code": "forbidden", "message": "this key lacks the right classify"},
    ),
    (405, "Only POST is answered here.", {"code": "wrong_method", "message": "only POST is answered here"}),
    (408, "The headers or the body did not arrive in time.", {"code": "body_too_slow", "message": "the body did not arrive in time"}),
    (
        409,
        "An earlier version than X-Least-Model-Version is served here; Retry-After says when to come back.",
        {"code": "version_not_served", "message": "version 2 is served here, and the request asks for 3 or later"},
    ),
    (413, "The body is over the limit; it was not read.", {"code": "body_too_large", "message": "the body is larger than 1048576 bytes"}),
    (415, "The media type is not application/json.", {"code": "unsupported_media_type", "message": "send application/json"}),
    (
        421,
        "Without an API key on loopback, the request was for another host.",
        {
            "code": "foreign_host",
            "message": "without an API key, ask for localhost, for an address, or for a name in PASSERELLE_ALLOWED_HOSTS of the service",
        },
    ),
    (
        422,
        "A field is missing, unknown, empty, too long or of the wrong type.",
        {"code": "invalid_record", "message": "must not be empty", "field": "text"},
    ),
    (
        429,
        "This key has asked too often; Retry-After says when to come back.",
        {"code": "rate_limited", "message": "this key has asked too often"},
    ),
    (
        431,
        "The request line and the headers are over the limit, or too many.",
        {"code": "head_too_large", "message": "the request line and the headers are larger than 16384 bytes, or more than 100 headers"},
    ),
    (
        503,
        "Not ready yet, or too many requests at once; Retry-After says when to come back.",
        {"code": "overloaded", "message": "too many requests at once"},
    ),
    (504, "The model did not answer in time.", {"code": "too_slow", "message": "the model did not answer in time"}),
)
#: Headers by which a client says which version it wants: name, schema and description.
_HEADERS: tuple[tuple[str, dict[str, object], str], ...] = (
    (
        "X-Least-Model-Version",
        {"type": "string", "pattern": "^[0-9]{1,12}$"},
        "The least version that may answer; an earlier one answers 409. Without it, whichever version is served answers.",
    ),
    (
        "X-Rollout-Key",
        {"type": "string"},
        "Requests with the same value are answered by the same version while a candidate answers part of them; else the id of the request"
        " decides. The operator may name another header.",
    ),
)


Responses = dict[str, dict[str, object]]


class Operation(TypedDict):
    """What one method of one path takes and gives."""

    tags: NotRequired[list[str]]
    operationId: str
    summary: str
    parameters: NotRequired[list[dict[str, object]]]
    requestBody: NotRequired[dict[str, object]]
    responses: Responses


class Document(TypedDict):
    """An OpenAPI document."""

    openapi: str
    info: dict[str, str]
    tags: list[dict[str, str]]
    paths: dict[str, dict[str, Operation]]
    components: dict[str, object]
    security: list[dict[str, list[str]]]


def openapi(
    contract: Contract, description: ModelDescription, *, title: str = "passerelle", classes: Sequence[object] | None = None
) -> Document:
    """Return the OpenAPI 3.1 document of the service, made from the model's signature.

    Args:
        classes: The labels of a model that is loaded.
    """
    answers = answers_of(description, classes)
    feedback = feedback_schema(contract, texts=answers.path != CLASSIFY or answers.texts)
    models: list[type[BaseModel]] = [contract.record, contract.batch, answers.one, answers.batch, ErrorAnswer, feedback]
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": __version__,
            "description": f"{answers.summary} records with exactly one version of one registered model.{class_list(classes)}",
        },
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": {
            **_answering(contract, answers, description, classes),
            FEEDBACK: {"post": grouped("feedback", _feedback())},
            MODEL: {"get": grouped("model", _read(MODEL, "model_card", "The card of the model that is served", not_ready=True))},
            LIVEZ: {"get": grouped("health", _read(LIVEZ, "livez", "Whether the event loop turns"))},
            READYZ: {"get": grouped("health", _read(READYZ, "readyz", _READY, not_ready=True))},
        },
        "components": {"schemas": definitions["$defs"], "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"key": []}],
    }


def _answering(
    contract: Contract, answers: AnswerSchemas, description: ModelDescription, classes: Sequence[object] | None
) -> dict[str, dict[str, Operation]]:
    """Return the two paths that answer records."""
    example = description.example or {}
    answer = answer_example(description, classes)
    takes = contract.record.__name__
    one = _operation(answers.name, f"{answers.verb} one record", takes=takes, example=example, gives="Prediction", answer=answer)
    batch = _operation(
        answers.batch_name,
        f"{answers.verb} several records",
        takes="Records",
        example={"records": [example]},
        gives="BatchPrediction",
        answer={"predictions": [answer]},
    )
    if texts := text_examples(description, example):
        content: dict[str, object] = {"schema": {"$ref": _REF.format(model=takes)}, "examples": texts}
        one["requestBody"] = {"required": True, "content": {"application/json": content}}
    return {answers.path: {"post": grouped("answers", one)}, answers.batch_path: {"post": grouped("answers", batch)}}


def grouped(group: str, operation: Operation) -> Operation:
    """Return the operation in a group of the page."""
    return {"tags": [group], **operation}


def _operation(
    name: str, summary: str, *, takes: str, example: Mapping[str, object], gives: str, answer: Mapping[str, object]
) -> Operation:
    responses: Responses = {"200": _json("The answer.", gives, answer)}
    for status, text, error in ERRORS:
        responses[str(status)] = _json(text, "ErrorAnswer", {**error, "request_id": "5f0c4b7d2a1e9c38"})
    for busy in ("409", "429", "503"):
        responses[busy]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    content = {"application/json": {"schema": {"$ref": _REF.format(model=takes)}, "example": example}}
    parameters: list[dict[str, object]] = [
        {"name": header, "in": "header", "required": False, "schema": schema, "description": text} for header, schema, text in _HEADERS
    ]
    body = {"required": True, "content": content}
    return {"operationId": name, "summary": summary, "parameters": parameters, "requestBody": body, "responses": responses}


def _feedback() -> Operation:
    example = {"prediction_id": _PREDICTION_ID, "label": "Pb de suivi /Délai", "by": "agent-12"}
    operation = _operation("feedback", "Send the right label of an answer", takes="Feedback", example=example, gives="Accepted", answer={})
    responses = {status: response for status, response in operation["responses"].items() if status not in ("200", "409", "504")}
    del operation["parameters"]  # they choose a version, and feedback is about an answer that one gave
    invalid = {"code": "invalid_feedback", "message": "is none of the model's classes; /model lists them", "field": "label"}
    forbidden = {"code": "forbidden", "message": "this key lacks the right feedback"}
    absent = {"code": "not_found", "message": "this service keeps no prediction log, and so no feedback"}
    for status, text, error in (
        ("403", "The API key lacks the right to send feedback.", forbidden),
        ("404", "There is no prediction log.", absent),
        ("422", "A field is missing, unknown or not acceptable.", invalid),
    ):
        responses[status] = _json(text, "ErrorAnswer", {**error, "request_id": "5f0c4b7d2a1e9c38"})
    accepted: dict[str, object] = {"schema": {"type": "object"}, "example": {"accepted": True}}
    responses["202"] = {"description": "It is kept; the same again changes nothing.", "content": {"application/json": accepted}}
    operation["responses"] = dict(sorted(responses.items()))
    return operation


def _read(path: str, name: str, summary: str, *, not_ready: bool = False) -> Operation:
    anything = {"application/json": {"schema": {"type": "object"}}}
    responses: Responses = {"200": {"description": "The answer.", "content": anything}}
    error = {"code": "wrong_method", "message": "only GET is answered here", "request_id": "5f0c4b7d2a1e9c38"}
    responses["405"] = _json("Only GET is answered here.", "ErrorAnswer", error)
    if route_of(path).access is Access.KEY:
        for status, text_of_error, content in ERRORS:
            if status in (401, 429):
                responses[str(status)] = _json(text_of_error, "ErrorAnswer", {**content, "request_id": "5f0c4b7d2a1e9c38"})
    if not_ready:
        responses["503"] = {"description": "Not ready yet.", "content": anything}
    return {"operationId": name, "summary": summary, "responses": responses}


def _json(text: str, schema: str, example: Mapping[str, object]) -> dict[str, object]:
    return {"description": text, "content": {"application/json": {"schema": {"$ref": _REF.format(model=schema)}, "example": example}}}

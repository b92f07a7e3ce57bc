"""The foreign protocols in the OpenAPI description: only those that are on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from passerelle.model.mlmodel import ModelDescription
from passerelle.serving.openapi import ERRORS, Document, Operation, Responses, grouped, openapi
from passerelle.serving.openapi_texts import DOORS
from passerelle.serving.routes import (
    ENDPOINTS,
    HEALTH,
    INFER_END,
    INVOCATIONS,
    INVOKE,
    PING,
    PREDICT_END,
    READY_END,
    V1,
    V1_LIST,
    V1_MODELS,
    V2,
    V2_LIVE,
    V2_MODELS,
    V2_READY,
    V2_SERVER,
    VERSION,
    Access,
    route_of,
)
from passerelle.serving.runtime import Runtime

_UNPROCESSABLE = 422
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_MLFLOW_ERROR = {
    "type": "object",
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
}
#: What a request that classifies may be answered with, beside 200: as /classify, but for what these protocols name otherwise.
_REFUSALS: Mapping[int, str] = {
    **{status: text for status, text, _ in ERRORS if status != _UNPROCESSABLE},
    400: "The request is not of the protocol's form, or a record is not acceptable.",
    404: "No such model or version is served here.",
    415: "The media type is none of these.",
}
_OBJECT: Mapping[str, object] = {"type": "object"}
_SETTINGS: Mapping[str, object] = {"type": ["object", "null"]}
_PREDICTIONS: Mapping[str, object] = {"type": "object", "properties": {"predictions": {"type": "array"}}, "required": ["predictions"]}


def described(runtime: Runtime) -> Document:
    """Return the OpenAPI document of a service, with the foreign protocols that are on."""
    loaded = runtime.model
    title = (runtime.registered_model or "passerelle") + ("" if loaded is None else f", version {loaded.version}")
    document = openapi(runtime.contract, runtime.description, title=title, classes=None if loaded is None else loaded.labels)
    doors = door_paths(runtime.settings.doors.split(","), runtime.registered_model, runtime.description)
    if doors:
        document["tags"].append(DOORS)
    for path, operations in doors.items():
        document["paths"][path] = {method: grouped(DOORS["name"], operation) for method, operation in operations.items()}
    return document


def door_paths(doors: Collection[str], registered_model: str, description: ModelDescription) -> dict[str, dict[str, Operation]]:
    """Return the paths of these foreign protocols, with an example that the model answers.

    Args:
        registered_model: The name that stands in the paths.
        description: Of the model.
    """
    example = dict(description.example or {})
    all_paths = {V2: _of_v2, V1: _of_v1, INVOCATIONS: _of_invocations}
    return dict(path for door, paths in all_paths.items() if door in doors for path in paths(registered_model, example))


Paths = Iterator[tuple[str, dict[str, Operation]]]
#: Schema and example of a body, by its media type.
_Content = Mapping[str, tuple[Mapping[str, object], object]]


def _of_v2(name: str, example: Mapping[str, object]) -> Paths:
    model = V2_MODELS + name
    yield V2_SERVER, _get(V2_SERVER, "v2_server", "Name and version of the server")
    yield V2_LIVE, _get(V2_LIVE, "v2_live", "Whether the event loop turns")
    yield V2_READY, _get(V2_READY, "v2_ready", "Whether the model is loaded", 503)
    yield model, _get(model, "v2_model", "Inputs and outputs of the model", 404, 503)
    yield model + READY_END, _get(model, "v2_model_ready", "Whether the model is loaded", 404, 503)
    inputs = [{"name": column, "shape": [1, 1], "datatype": datatype_of_json(value), "data": [value]} for column, value in example.items()]
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string"},
            "data": {"type": ["array", "null"]},
            "parameters": _SETTINGS,
        },
        "required": ["name", "shape", "datatype"],
        "additionalProperties": False,
    }
    outputs = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"], "maxLength": 256},
            "model_name": {},
            "parameters": _SETTINGS,
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": ["array", "null"], "items": outputs},
        },
        "required": ["inputs"],
        "additionalProperties": False,
    }
    yield (
        model + INFER_END,
        _post("v2_infer", "Classify by the Open Inference Protocol", {"application/json": (schema, {"inputs": inputs})}),
    )


def _of_v1(name: str, example: Mapping[str, object]) -> Paths:
    model = V1_MODELS + name
    yield V1_LIST, _get(V1_LIST, "v1_models", "Names of the models")
    yield model, _get(model, "v1_model", "Whether the model is loaded", 404, 503)
    schema = {
        "type": "object",
        "properties": {"instances": {"type": "array", "minItems": 1}},
        "required": ["instances"],
        "additionalProperties": False,
    }
    content: _Content = {"application/json": (schema, {"instances": [example]})}
    yield model + PREDICT_END, _post("v1_predict", "Classify by KServe's older protocol", content, gives=_PREDICTIONS)


def _of_invocations(name: str, example: Mapping[str, object]) -> Paths:
    forms: tuple[dict[str, object], ...] = (
        {"dataframe_split": _OBJECT},
        {"dataframe_records": {"type": "array"}},
        {"instances": {"type": "array"}},
        {"inputs": {}},
    )
    schema = {
        "oneOf": [
            {"type": "object", "properties": {**form, "params": _SETTINGS}, "required": list(form), "additionalProperties": False}
            for form in forms
        ]
    }
    lines = "{}\n{}\n".format(",".join(example), ",".join(map(str, example.values())))
    content: _Content = {"application/json": (schema, {"dataframe_records": [example]}), "text/csv": ({"type": "string"}, lines)}
    for path, operation in ((INVOKE, "invocations"), (f"{ENDPOINTS}{name}{INVOKE}", "endpoint_invocations")):
        yield path, _post(operation, "Classify by MLflow's scoring protocol", content, gives=_PREDICTIONS, refusal=_MLFLOW_ERROR)
    yield PING, _get(PING, "mlflow_ping", "Whether the model is loaded", 404, media_type="text/plain")
    yield HEALTH, _get(HEALTH, "mlflow_health", "Whether the model is loaded", 404, media_type="text/plain")
    yield VERSION, _get(VERSION, "mlflow_version", "The version of MLflow that wrote the model", media_type="text/plain")


def datatype_of_json(value: object) -> str:
    """Return the tensor datatype of the example of a column."""
    return {bool: "BOOL", int: "INT64", float: "FP64"}.get(type(value), "BYTES")


def _post(
    name: str,
    summary: str,
    content: _Content,
    *,
    gives: Mapping[str, object] = _OBJECT,
    refusal: Mapping[str, object] = _ERROR,
) -> dict[str, Operation]:
    responses: Responses = {"200": _json("The answer.", gives)}
    responses |= {str(status): _json(text, refusal) for status, text in _REFUSALS.items()}
    contents = {media_type: {"schema": schema, "example": example} for media_type, (schema, example) in content.items()}
    return {
        "post": {"operationId": name, "summary": summary, "requestBody": {"required": True, "content": contents}, "responses": responses}
    }


def _get(path: str, name: str, summary: str, *statuses: int, media_type: str = "application/json") -> dict[str, Operation]:
    responses: Responses = {"200": {"description": "The answer.", "content": {media_type: {"schema": {}}}}}
    with_key = (401, 429) if route_of(path, frozenset({V1, V2, INVOCATIONS})).access is Access.KEY else ()
    responses |= {str(status): _json(_REFUSALS[status], {}) for status in (*with_key, *statuses)}
    responses["405"] = _json("Only GET is answered here.", {})
    return {"get": {"operationId": name, "summary": summary, "responses": responses}}


def _json(text: str, schema: Mapping[str, object]) -> dict[str, object]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}

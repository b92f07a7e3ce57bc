"""MLflow's scoring protocol: four forms of JSON, CSV, and what is none of them; and the access and the metrics of all protocols."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.api_keys import make_key
from passerelle.monitoring.access_log import AccessLog
from passerelle.serving.doors.outputs import datatype_of, described_outputs, outputs_of, rows_of, tensor_data
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.doors.services import ALL_DOORS, INFER, INVOKE, PREDICT, SECRET, Service, binary, captured, service_of, tensor
from tests.unit.serving.hostile_bodies import bodies, mutated
from tests.unit.serving.models import text_bento_model, write_bento_model
from training.candidates import tabular_candidates

if TYPE_CHECKING:
    from passerelle.model.mlmodel import ModelDescription


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return service_of(text_bento_model(tmp_path_factory.mktemp("doors") / "test"))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A model of numbers, which is not compiled: the pipeline itself answers, behind the batcher."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"size": random.normal(size=40) / 100, "count": random.integers(0, 9, 40), "open": random.integers(0, 2, 40) > 0})
    candidate = next(each for each in tabular_candidates(["size", "count", "open"], []) if each.name == "scaled_lr")
    pipeline = candidate.pipeline.fit(table, np.where(table["size"] > 0, "haut", "bas"))
    return service_of(write_bento_model(tmp_path_factory.mktemp("numbers") / "model", pipeline, table))


def test_the_forms_of_json_and_csv_say_the_same(service: Service) -> None:
    words = ["un grand merci", 'trottoir, "cassé"']
    expected = service.post("/classify/batch", {"records": [{"text": word} for word in words]}).json()["predictions"]
    forms: list[Any] = [
        {"dataframe_split": {"columns": ["text"], "data": [[word] for word in words]}},
        {"dataframe_split": {"index": [0, 1], "columns": ["text"], "data": [[word] for word in words]}},
        {"dataframe_records": [{"text": word} for word in words]},
        {"instances": [{"text": word} for word in words]},
        {"instances": words},
        {"inputs": {"text": words}, "params": {}},
        {"inputs": [{"text": word} for word in words], "params": None},
    ]
    answers = [service.post(INVOKE, each).json() for each in forms]
    lines = 'text\nun grand merci\n"trottoir, ""cassé"""\n\n'
    answers += [service.post(INVOKE, text.encode(), content_type="text/csv; charset=UTF-8").json() for text in (lines, "\ufeff" + lines)]
    answers.append(service.post("/endpoints/test/invocations", forms[0]).json())
    assert all(answer["predictions"] == ["merci", "voirie"] for answer in answers)
    assert all(answer["probabilities"] == [each["probability"] for each in expected] for answer in answers)
    assert service.post(INVOKE, {"inputs": {"text": words[0]}}).json()["predictions"] == ["merci"]


BAD: dict[str, Any] = {
    "no form": {},
    "two forms": {"inputs": [SECRET], "instances": [SECRET]},
    "another key": {"inputs": [SECRET], "model": SECRET},
    "a list": [SECRET],
    "not JSON": b"{",
    "params that there are not": {"inputs": [SECRET], "params": {"top": 3}},
    "params of no form": {"inputs": [SECRET], "params": [SECRET]},
    "records of no form": {"dataframe_records": [SECRET]},
    "records as an object": {"dataframe_records": {"text": [SECRET]}},
    "unknown column": {"dataframe_records": [{"text": SECRET, "texte": SECRET}]},
    "no column": {"dataframe_records": [{}]},
    "no records": {"instances": []},
    "too many": {"instances": [SECRET] * 6},
    "split of no form": {"dataframe_split": [[SECRET]]},
    "split without columns": {"dataframe_split": {"data": [[SECRET]]}},
    "split with a column twice": {"dataframe_split": {"columns": ["text", "text"], "data": [[SECRET, SECRET]]}},
    "split of ragged rows": {"dataframe_split": {"columns": ["text"], "data": [[SECRET], []]}},
    "split with more": {"dataframe_split": {"columns": ["text"], "data": [[SECRET]], "schema": SECRET}},
    "columns of different lengths": {"inputs": {"text": [SECRET], "texte": []}},
    "columns without any": {"inputs": {}},
    "many columns": {"inputs": {f"text{number}": [SECRET] for number in range(40)}},
    "number": {"instances": [5]},
    "number of many digits": b'{"instances": [' + b"1" * 10_000 + b"]}",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_of_no_form_is_refused_in_mlflows_words(service: Service, name: str) -> None:
    answer = service.post(INVOKE, BAD[name])
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST")
    assert set(answer.json()) == {"error_code", "message"}
    assert SECRET not in answer.text
    if name == "two forms":
        assert "dataframe_records, dataframe_split, inputs, instances" in answer.json()["message"]


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "\n",
        "text,text\na,a\n",
        "text\na,b\n",
        "texte\na\n",
        'text\n"a\n',
        "text\n" + "a\n" * 6,
        "text\n\xff\n",
        "text\n  \n",
        "a," * 100,
    ],
)
def test_csv_that_is_no_table_of_the_columns_is_refused(service: Service, lines: str) -> None:
    answer = service.post(INVOKE, lines.encode("latin-1"), content_type="text/csv")
    assert (answer.status_code, set(answer.json())) == (400, {"error_code", "message"})


def test_other_media_types_are_refused_in_words(service: Service) -> None:
    for kind in ("application/vnd.apache.parquet", "text/plain", "", "application/json; charset=latin-1"):
        answer = service.post(INVOKE, {"inputs": ["merci"]}, content_type=kind)
        assert (answer.status_code, answer.json()["error_code"]) == (415, "BAD_REQUEST")
        assert answer.json()["message"] in ("send application/json or text/csv; Parquet is not read here", "send UTF-8")


def test_the_reads_of_mlflow_are_answered(service: Service) -> None:
    assert (service.send("GET", "/ping").text, service.send("GET", "/health").status_code) == ("\n", 200)
    assert service.send("GET", "/version").text[0].isdigit()
    assert service.post("/endpoints/other/invocations", {"inputs": ["merci"]}).status_code == 404
    assert service.send("GET", INVOKE).json() == {"error_code": "BAD_REQUEST", "message": "only POST is answered here"}


def test_numbers_come_by_every_form(numbers: Service) -> None:
    records = [{"size": 0.02, "count": 3, "open": True}, {"size": -0.02, "count": 4, "open": False}]
    expected = [each["label"] for each in numbers.post("/classify/batch", {"records": records}).json()["predictions"]]
    assert expected == ["haut", "bas"]
    columns = {name: [record[name] for record in records] for name in records[0]}
    assert numbers.post(INVOKE, {"inputs": columns}).json()["predictions"] == expected
    assert numbers.post(INVOKE, b"open,size,count\ntrue,0.02,3\nFalse,-2e-2,4\n", content_type="text/csv").json()["predictions"] == expected
    assert numbers.post(PREDICT, {"instances": [list(record.values()) for record in records]}).json()["predictions"] == expected
    kinds = {"size": "FP64", "count": "INT64", "open": "BOOL"}
    tensors = [{"name": name, "shape": [2, 1], "datatype": kinds[name], "data": values} for name, values in columns.items()]
    assert numbers.post(INFER, {"inputs": tensors}).json()["outputs"][0]["data"] == expected
    packed = {"size": struct.pack("<2f", 0.02, -0.02), "count": struct.pack("<2h", 3, 4), "open": b"\x01\x00"}
    sizes = [
        {"name": name, "shape": [2], "datatype": kind, "parameters": {"binary_data_size": len(packed[name])}}
        for name, kind in {"size": "FP32", "count": "INT16", "open": "BOOL"}.items()
    ]
    body, headers = binary(sizes, b"".join(packed.values()))
    assert numbers.post(INFER, body, **headers).json()["outputs"][0]["data"] == expected
    for cell in ("9" * 5_000, "", "x", "1e999", "nan"):
        refused = numbers.post(INVOKE, f"open,size,count\ntrue,{cell},3\n".encode(), content_type="text/csv")
        assert refused.status_code == 400, cell
    body, headers = binary(
        [{**sizes[0], "parameters": {"binary_data_size": 8}}, *sizes[1:]], struct.pack("<2f", float("inf"), 1) + b"\0" * 6
    )
    assert numbers.post(INFER, body, **headers).status_code == 400
    metadata = numbers.send("GET", "/v2/models/test").json()["inputs"]
    assert {each["name"]: each["datatype"] for each in metadata} == kinds


def test_keys_limits_metrics_and_log_are_those_of_all_routes(service: Service, tmp_path: Path) -> None:
    token = make_key(tmp_path / "keys.json", "agents").token
    only_feedback = make_key(tmp_path / "keys.json", "feedback", rights=("feedback",)).token
    closed = service_of(service.runtime.folder, auth="required", keys_file=str(tmp_path / "keys.json"), max_body_bytes=200)
    asked = {"inputs": [tensor(["un grand merci"])]}
    assert (closed.post(INFER, asked).status_code, set(closed.post(INFER, asked).json())) == (401, {"error"})
    assert closed.post(INVOKE, {"inputs": ["merci"]}).json()["error_code"] == "UNAUTHENTICATED"
    assert closed.post(INFER, asked, authorization=f"Bearer {only_feedback}").status_code == 403
    assert closed.post(INFER, asked, authorization=f"Bearer {token}").status_code == 200
    assert closed.post(INFER, b" " * 201, authorization=f"Bearer {token}").status_code == 413
    for path, status in (("/v2", 401), ("/v2/models/test", 401), ("/version", 401), ("/v2/health/ready", 200), ("/ping", 200)):
        assert closed.send("GET", path).status_code == status
    text = closed.runtime.metrics.render().decode()
    assert 'passerelle_requests_total{door="v2",route="/v2/infer",status="200"} 1.0' in text
    assert 'passerelle_requests_total{door="invocations",route="/invocations",status="401"} 1.0' in text
    assert 'passerelle_predictions_total{label="merci",model_version="7"} 1.0' in text


def test_until_the_model_is_loaded_each_protocol_says_so(service: Service) -> None:
    runtime = Runtime(service.runtime.folder, ServiceSettings.read(access_log=False, doors=ALL_DOORS))
    waiting = Service(ClassifyEndpoint(build_app(runtime), runtime=runtime), runtime)
    statuses = {path: waiting.send("GET", path).status_code for path in ("/v2/health/live", "/v2/health/ready", "/ping", "/v2/models/test")}
    assert statuses == {"/v2/health/live": 200, "/v2/health/ready": 503, "/ping": 404, "/v2/models/test": 503}
    assert waiting.send("GET", "/v2/models/test/ready").json() == {"name": "test", "ready": False}
    assert waiting.send("GET", "/v1/models/test").status_code == 503
    refused = waiting.post(INVOKE, {"inputs": ["merci"]})
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["error_code"]) == (503, "1", "TEMPORARILY_UNAVAILABLE")


def test_many_clients_that_send_one_record_each_are_all_answered(service: Service) -> None:
    async def together() -> list[int]:
        import httpx

        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            asked = [client.post(INFER, json={"inputs": [tensor(["un grand merci"])]}) for _ in range(48)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(together()) == [200] * 48


def test_the_access_log_names_the_protocol(tmp_path: Path) -> None:
    read, write = os.pipe()

    async def go() -> None:
        log = AccessLog(descriptor=write)
        log.write("POST", "/v2/infer", 200, 0.001, request_id="r1", door="v2")
        log.write("POST", "/classify", 200, 0.001, request_id="r2")
        log.flush()

    asyncio.run(go())
    first, second = os.read(read, 1_000).splitlines()
    assert b'"door":"v2"' in first
    assert b"door" not in second


def test_outputs_have_the_type_of_their_values() -> None:
    kinds = [datatype_of(each) for each in ([True], [1, 2], [1, 0.5], ["a"], [1, "a"], [], [[1, 2], [3, 4]], [None, 0.5])]
    assert kinds == ["BOOL", "INT64", "FP64", "BYTES", "BYTES", "BYTES", "INT64", "FP64"]


LABELS = [{"label": "a", "probability": 0.8, "given": True}, {"label": "b", "probability": 0.3, "given": False}]
#: Answers of models of each task: the answer of the batch path, the outputs of version 2, and MLflow's predictions.
ANSWERS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, list[int], list[Any]]], list[Any]]] = {
    "whole labels": ([{"label": 0, "probability": None}], [("label", "INT64", [1], [0])], [0]),
    "regression": ([{"prediction": 1.5}, {"prediction": None}], [("prediction", "FP64", [2], [1.5, None])], [1.5, None]),
    "clustering": ([{"prediction": 3}], [("prediction", "INT64", [1], [3])], [3]),
    "several labels": (
        [{"labels": LABELS}, {"labels": LABELS}],
        [("given", "INT64", [2, 2], [1, 0, 1, 0]), ("probability", "FP64", [2, 2], [0.8, 0.3, 0.8, 0.3])],
        [[1, 0], [1, 0]],
    ),
    "several outputs": (
        [{"prediction": {"x": 1.5, "probability": "b"}}],
        [("x", "FP64", [1], [1.5]), ("probability", "BYTES", [1], ["b"])],
        [{"x": 1.5, "probability": "b"}],
    ),
    "a list": ([{"prediction": [1, 2]}, {"prediction": [3, 4]}], [("prediction", "INT64", [2, 2], [1, 2, 3, 4])], [[1, 2], [3, 4]]),
    "anything": (
        [{"prediction": {"a": [1]}}, {"prediction": "b"}],
        [("prediction", "BYTES", [2], ['{"a": [1]}', "b"])],
        [{"a": [1]}, "b"],
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answers_of_each_task_have_a_form_in_each_protocol(name: str) -> None:
    predictions, tensors, rows = ANSWERS[name]
    outputs = outputs_of({"predictions": predictions})
    assert [(each.name, each.datatype, *tensor_data(each)) for each in outputs] == tensors
    assert rows_of(outputs) == rows


def test_metadata_name_the_outputs_of_each_task() -> None:
    def of(task: str, *outputs: tuple[str, str]) -> list[Any]:
        signature = {"outputs": json.dumps([{"name": each, "type": kind} for each, kind in outputs])}
        return described_outputs(cast("ModelDescription", SimpleNamespace(task=task, signature=signature)), ["a"])

    assert of("classification") == [("label", "BYTES", False), ("probability", "FP64", False)]
    assert of("multilabel") == [("given", "INT64", True), ("probability", "FP64", True)]
    assert of("multioutput", ("x", "double"), ("y", "string")) == [("x", "FP64", False), ("y", "BYTES", False)]
    assert of("regression", ("y", "long")) == [("prediction", "INT64", False)]
    assert [of("regression"), of("clustering")] == [[("prediction", "FP64", False)], [("prediction", "INT64", False)]]


GOOD = tuple(each["body"] for each in captured() if each["body"])


@given(
    path=st.sampled_from((INFER, PREDICT, INVOKE)),
    body=st.one_of(mutated(GOOD), bodies(GOOD)),
    kind=st.sampled_from(("application/json", "text/csv")),
    length=st.one_of(st.none(), st.integers(0, 300).map(str), st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=5)),
)
def test_any_bytes_are_answered_or_refused(service: Service, path: str, body: bytes, kind: str, length: str | None) -> None:
    headers = {"content_type": kind} | ({} if length is None else {"inference_header_content_length": length})
    answer = service.post(path, body, **headers)
    assert answer.status_code in {200, 400, 415}
    assert set(answer.json()) <= {
        "error",
        "error_code",
        "message",
        "predictions",
        "probabilities",
        "outputs",
        "id",
        "model_name",
        "model_version",
    }

"""The Open Inference Protocol: what the real clients sent, and whatever lies about its shape, its size or its names."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from passerelle.model.record import Column
from passerelle.serving.contract import RequestError, contract_of
from passerelle.serving.doors.tensors import BinaryTensors, tensor_of
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.structure import run_at_once
from tests.unit.serving.adopted import RUN, adopted_runtime
from tests.unit.serving.doors.services import INFER, PREDICT, SECRET, Service, binary, captured, service_of, tensor, texts
from tests.unit.serving.models import text_bento_model

LABELS = ["merci", "voirie"]
WORDS = ("un grand merci", "trottoir cassé")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return service_of(text_bento_model(tmp_path_factory.mktemp("doors") / "test"), max_body_bytes=1_048_576)


@pytest.mark.parametrize("request_", captured(), ids=lambda each: f"{each['client']} {each['method']} {each['path']}")
def test_what_a_real_client_sent_is_answered(service: Service, request_: dict[str, Any]) -> None:
    answer = service.send(request_["method"], request_["path"], content=request_["body"], headers=request_["headers"])
    if "/versions/99/" in request_["path"]:
        assert (answer.status_code, set(answer.json())) == (404, {"error"})
        return
    assert answer.status_code == 200, answer.text
    if request_["path"] == INFER:
        label, probability = answer.json()["outputs"]
        assert (label["name"], label["datatype"], label["shape"]) == ("label", "BYTES", [len(label["data"])])
        assert (probability["name"], probability["datatype"]) == ("probability", "FP64")
        assert label["data"] in (LABELS, ["délai"])
        assert answer.json()["id"] in request_["body"].decode(errors="replace")
        assert (answer.json()["model_name"], answer.json()["model_version"]) == ("test", "7")
    if request_["path"] == PREDICT:
        assert answer.json() == {"predictions": LABELS}


def test_the_answers_are_those_of_the_batch_path(service: Service) -> None:
    batch = service.post("/classify/batch", {"records": [{"text": word} for word in WORDS]}).json()["predictions"]
    for given in (
        {"inputs": [tensor(list(WORDS))]},
        {"inputs": [tensor([[word] for word in WORDS], shape=[2, 1])]},
        {"inputs": [tensor(list(WORDS), shape=[2, 1], parameters=None)], "id": None, "outputs": None, "parameters": {"any": [1]}},
        {"inputs": [tensor(list(WORDS), parameters={"content_type": "str"})], "outputs": [{"name": "probability"}, {"name": "label"}]},
    ):
        label, probability = service.post(INFER, given).json()["outputs"]
        assert label["data"] == [each["label"] for each in batch]
        assert probability["data"] == [each["probability"] for each in batch]
    only = service.post(INFER, {"inputs": [tensor(list(WORDS))], "outputs": [{"name": "label"}]}).json()["outputs"]
    assert [each["name"] for each in only] == ["label"]
    assert service.post("/v2/models/test/versions/7/infer", {"inputs": [tensor([WORDS[0]])]}).json()["outputs"][0]["data"] == LABELS[:1]


SIZES = {"parameters": {"binary_data_size": len(texts(SECRET))}}
HUGE = b'{"inputs": [' + b"1" * 1_000_000 + b"]}"
BAD_BODIES: dict[str, Any] = {
    "no inputs": {},
    "not an object": [tensor([SECRET])],
    "not JSON": SECRET.encode(),
    "no tensor": {"inputs": [SECRET]},
    "empty": {"inputs": []},
    "no records": {"inputs": [tensor([])]},
    "unknown key": {"inputs": [tensor([SECRET])], "model": SECRET},
    "unknown key of an input": {"inputs": [tensor([SECRET], dtype="str")]},
    "twice": {"inputs": [tensor([SECRET]), tensor([SECRET])]},
    "other case": {"inputs": [tensor([SECRET], name="Text")]},
    "unknown input": {"inputs": [tensor([SECRET], name=SECRET)]},
    "unknown datatype": {"inputs": [tensor([SECRET], datatype=SECRET)]},
    "number": {"inputs": [tensor([1], datatype="INT64")]},
    "text as a number": {"inputs": [tensor([SECRET], datatype="FP64")]},
    "truth as a number": {"inputs": [tensor([True], datatype="INT64")]},
    "null": {"inputs": [tensor([None])]},
    "no data": {"inputs": [tensor(None)]},
    "shape that lies": {"inputs": [tensor([SECRET], shape=[2])]},
    "shape of more columns": {"inputs": [tensor([[SECRET, SECRET]], shape=[1, 2])]},
    "nested deeper": {"inputs": [tensor([[[SECRET]]], shape=[1, 1])]},
    "ragged": {"inputs": [tensor([[SECRET], [SECRET, SECRET]], shape=[2, 1])]},
    "negative shape": {"inputs": [tensor([SECRET], shape=[-1])]},
    "shape of truth": {"inputs": [tensor([SECRET], shape=[True])]},
    "no shape": {"inputs": [tensor([SECRET], shape=[])]},
    "enormous shape": {"inputs": [tensor([SECRET], shape=[10**18])]},
    "shape of a fraction": {"inputs": [tensor([SECRET], shape=[1.0])]},
    "too many records": {"inputs": [tensor([SECRET] * 6)]},
    "encoded": {"inputs": [tensor([SECRET], parameters={"content_type": "base64"})]},
    "binary without data": {"inputs": [tensor(None, **SIZES)]},
    "unknown output": {"inputs": [tensor([SECRET])], "outputs": [{"name": SECRET}]},
    "outputs of no form": {"inputs": [tensor([SECRET])], "outputs": {}},
    "id of no form": {"inputs": [tensor([SECRET])], "id": 5},
    "long id": {"inputs": [tensor([SECRET])], "id": "a" * 257},
    "blank": {"inputs": [tensor(["  "])]},
    "long": {"inputs": [tensor([SECRET * 2_000])]},
    "number of a million digits": HUGE,
    "a hundred thousand inputs": b'{"inputs": [' + b",".join([b"{}"] * 100_000) + b"]}",
    "deep": b'{"inputs": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_request_that_is_not_of_the_form_is_refused_in_the_protocols_own_words(service: Service, name: str) -> None:
    answer = service.post(INFER, BAD_BODIES[name])
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert SECRET not in answer.text
    assert answer.headers["x-request-id"]


TEXT = texts(SECRET)
BAD_BINARIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "longer than the body": binary([tensor(None, parameters={"binary_data_size": len(TEXT) + 1})], TEXT),
    "shorter than the body": binary([tensor(None, parameters={"binary_data_size": len(TEXT) - 1})], TEXT),
    "negative size": binary([tensor(None, parameters={"binary_data_size": -1})], TEXT),
    "size of truth": binary([tensor(None, parameters={"binary_data_size": True})], b"\x00"),
    "bytes after the last": binary([tensor(None, **SIZES)], TEXT + b"\x00"),
    "fewer texts than the shape": binary([tensor(None, shape=[2], **SIZES)], TEXT),
    "more texts than the shape": binary([tensor(None, parameters={"binary_data_size": 2 * len(TEXT)})], TEXT * 2),
    "length that lies": binary([tensor(None, **SIZES)], struct.pack("<I", 2**32 - 1) + TEXT[4:]),
    "length cut off": binary([tensor(None, parameters={"binary_data_size": 3})], TEXT[:3]),
    "not UTF-8": binary([tensor(None, parameters={"binary_data_size": 5})], b"\x01\x00\x00\x00\xff"),
    "data twice": binary([tensor([SECRET], **SIZES)], TEXT),
    "numbers for a text": binary([tensor(None, datatype="FP64", parameters={"binary_data_size": 8})], struct.pack("<d", 1.0)),
    "not finite": binary([tensor(None, datatype="FP64", parameters={"binary_data_size": 8})], struct.pack("<d", float("nan"))),
    "number cut off": binary([tensor(None, datatype="INT64", parameters={"binary_data_size": 7})], b"\x00" * 7),
    "header beyond the body": binary([tensor(None, **SIZES)], TEXT, length="9999999"),
    "header of no number": binary([tensor(None, **SIZES)], TEXT, length="-5"),
    "header of many digits": binary([tensor(None, **SIZES)], TEXT, length="9" * 5_000),
    "header that cuts the JSON": binary([tensor(None, **SIZES)], TEXT, length="20"),
}


@pytest.mark.parametrize("name", BAD_BINARIES)
def test_binary_data_that_lie_are_refused(service: Service, name: str) -> None:
    body, headers = BAD_BINARIES[name]
    answer = service.post(INFER, body, **headers)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert SECRET not in answer.text


def test_a_column_of_arrays_takes_a_tensor_with_their_lengths() -> None:
    contract = contract_of([Column("points", "array<array<double>>")], max_text_characters=10, max_records=3, example=None)
    rows = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]]
    flat = [float(number) for number in range(1, 13)]
    depths = {"points": 2}

    def values(shape: list[int], data: Any = None, packed: bytes = b"") -> Any:
        sizes = {"parameters": {"binary_data_size": len(packed)}} if packed else {}
        given = {"name": "points", "shape": shape, "datatype": "FP64", "data": data, **sizes}
        return run_at_once(tensor_of(given, BinaryTensors(packed), contract, depths)).values

    assert values([2, 2, 3], rows) == values([2, 2, 3], flat) == values([2, 2, 3], packed=struct.pack("<12d", *flat)) == rows
    for shape, data in (
        ([2, 6], flat),
        ([2, 3, 2], rows),
        ([2], rows),
        ([2, 2, 10**18], flat),
        ([2, 2, 3], rows[:1]),
        ([2, 2, 3, 1], flat),
    ):
        with pytest.raises(RequestError):
            values(shape, data)


def test_names_and_versions_are_exact(service: Service) -> None:
    good = {"inputs": [tensor([WORDS[0]])]}
    for path in ("Test/infer", "tes/infer", "/infer", "test/versions/8/infer", "test/versions/7.0/infer", "test/versions//infer",
                 "test/version/7/infer", "test/versions/7/8/infer", "test/7/infer", "test%2finfer/infer"):  # fmt: skip
        answer = service.post(f"/v2/models/{path}", good)
        assert (answer.status_code, set(answer.json())) == (404, {"error"}), path
    for path in ("Test", "test/versions/8", "test/versions/8/ready", "Test/ready", "test/nothing", ""):
        assert service.send("GET", f"/v2/models/{path}").status_code == 404, path
    metadata = service.send("GET", "/v2/models/test/versions/7").json()
    assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1, 1]}]
    assert [each["name"] for each in metadata["outputs"]] == ["label", "probability"]
    assert service.send("GET", "/v2/models/test/versions/7/ready").json() == {"name": "test", "ready": True}
    assert service.send("GET", "/v2").json()["extensions"] == []


def test_no_media_type_is_one_and_others_are_refused(service: Service) -> None:
    good = json.dumps({"inputs": [tensor([WORDS[0]])]}).encode()
    assert service.send("POST", INFER, content=good).status_code == 200
    assert service.post(INFER, good, content_type="application/octet-stream").status_code == 200
    for headers in ({"content_type": "text/csv"}, {"content_encoding": "gzip"}):
        answer = service.post(INFER, good, **headers)
        assert (answer.status_code, set(answer.json())) == (415, {"error"})
    assert service.send("POST", PREDICT, content=b'{"instances": ["merci"]}').status_code == 415


def test_version_1_answers_with_labels(service: Service) -> None:
    assert service.post(PREDICT, {"instances": [{"text": WORDS[0]}, WORDS[1], [WORDS[1]]]}).json() == {
        "predictions": ["merci", *LABELS[1:] * 2]
    }
    bad: Any
    for bad in ({}, {"instances": {}}, {"instances": []}, {"instances": [[SECRET, SECRET]]}, {"instances": [{"texte": SECRET}]},
                {"instances": [SECRET] * 6}, {"instances": [SECRET], "inputs": []}):  # fmt: skip
        answer = service.post(PREDICT, bad)
        assert (answer.status_code, set(answer.json())) == (400, {"error"}), bad
        assert SECRET not in answer.text
    assert service.send("GET", "/v1/models").json() == {"models": ["test"]}
    assert service.send("GET", "/v1/models/Test").status_code == 404
    assert service.post("/v1/models/test/versions/7:predict", {"instances": [WORDS[0]]}).status_code == 404


def test_each_protocol_is_on_by_itself(service: Service, tmp_path: Path) -> None:
    alone = service_of(service.runtime.folder, doors="invocations")
    assert alone.send("GET", "/ping").status_code == 200
    refused = alone.post(INFER, {"inputs": [tensor([WORDS[0]])]})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert "/invocations" in alone.send("GET", "/openapi.json").json()["paths"]
    assert INFER not in alone.send("GET", "/openapi.json").json()["paths"]
    assert service.send("GET", "/openapi.json").json()["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]["example"]


PARAMS = [{"name": "factor", "type": "double", "default": 1.0, "shape": None}, {"name": "top", "type": "long", "default": 3, "shape": None}]


def test_params_of_the_signature_are_parameters_of_the_request(tmp_path: Path) -> None:
    (tmp_path / "lineage.json").write_text(json.dumps({"registered_model": "test", "version": "7", "run_id": RUN, "artifact_digest": ""}))
    runtime, hosted = adopted_runtime(tmp_path, "regression", lambda _: 1.5, params=PARAMS, doors="v2")
    service = Service(ClassifyEndpoint(build_app(runtime), runtime=runtime), runtime)
    answer = service.post(
        INFER, {"inputs": [tensor(["a", "b"])], "parameters": {"factor": 2.0, "content_type": "pd", "binary_data_output": True}}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == [1.5, 1.5]
    assert hosted.asked[-1][1] == {"factor": 2.0, "top": 3}
    wrong = service.post(INFER, {"inputs": [tensor(["a"])], "parameters": {"top": SECRET}})
    assert (wrong.status_code, set(wrong.json())) == (400, {"error"})
    assert SECRET not in wrong.text

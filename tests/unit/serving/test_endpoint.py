"""The contract of /classify on the bytes, in process: every status, and never the text that was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.model.classifier import PipelineNeededError
from passerelle.model.loaded import LoadedModel
from passerelle.model.prediction_id import is_prediction_id
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.routes import ROUTES
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model

SECRET = "monsecretadressé"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_bento_model(tmp_path_factory.mktemp("model") / "test")


@pytest.fixture(scope="module")
def runtime(folder: Path) -> Runtime:
    small = ServiceSettings.read(
        max_body_bytes=2_000, max_text_characters=100, max_records=3, body_timeout_s=0.2, model_timeout_s=0.3, access_log=False
    )
    made = Runtime(folder, small)
    made.load()
    return made


@pytest.fixture(scope="module")
def app(runtime: Runtime) -> ClassifyEndpoint:
    return ClassifyEndpoint(build_app(runtime), runtime=runtime)


def ask(app: ClassifyEndpoint, method: str, path: str, **options: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())


def refused(answer: httpx.Response, status: int, code: str, field: str | None = None) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"], body.get("field")) == (status, code, field)
    assert set(body) <= {"code", "message", "field", "request_id"}
    assert answer.headers["x-request-id"] == body["request_id"]
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text


def test_one_record_is_answered(app: ClassifyEndpoint, runtime: Runtime) -> None:
    body = ask(app, "POST", "/classify", json={"text": "un grand merci"}).json()
    assert body["label"] == "merci"
    assert body["model_version"] == "7"
    assert body["top"][0]["label"] == "merci"
    assert len(body["top"]) == 3
    assert body["probability"] == body["top"][0]["probability"]
    assert body["review"] == (body["probability"] < runtime.settings.review_threshold)
    assert is_prediction_id(body["prediction_id"])


def test_a_batch_is_answered_in_its_order(app: ClassifyEndpoint) -> None:
    records = [{"text": "trottoir cassé"}, {"text": "aucune réponse"}, {"text": "merci"}]
    answers = ask(app, "POST", "/classify/batch", json={"records": records}).json()["predictions"]
    alone = [ask(app, "POST", "/classify", json=record).json() for record in records]
    assert [answer["label"] for answer in answers] == ["voirie", "délai", "merci"]
    assert [answer["probability"] for answer in answers] == [answer["probability"] for answer in alone]


BAD_RECORDS: list[tuple[Any, str | None]] = [
    ({}, "text"),
    ({"text": ""}, "text"),
    ({"text": " \n\t\u00a0"}, "text"),
    ({"text": SECRET * 10}, "text"),
    ({"text": 3}, "text"),
    ({"text": None}, "text"),
    ({"text": [SECRET]}, "text"),
    ({"text": SECRET, "langue": "fr"}, "langue"),
    ([SECRET], None),
    (SECRET, None),
    (3, None),
]


@pytest.mark.parametrize(("record", "field"), BAD_RECORDS)
def test_a_bad_record_is_refused_with_its_field(app: ClassifyEndpoint, record: Any, field: str | None) -> None:
    refused(ask(app, "POST", "/classify", json=record), 422, "invalid_record", field)


def test_a_bad_batch_is_refused_with_its_place(app: ClassifyEndpoint) -> None:
    refused(ask(app, "POST", "/classify/batch", json={"records": []}), 422, "invalid_record", "records")
    refused(ask(app, "POST", "/classify/batch", json={"records": [{"text": "a"}] * 4}), 422, "too_many_records", "records")
    refused(ask(app, "POST", "/classify/batch", json={"records": [{"text": "a"}, {"text": 1}]}), 422, "invalid_record", "records.1.text")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"text": "\\ud800"}', b'{"text": "\xed\xa0\x80"}', b"[" * 1_500, b'\xef\xbb\xbf{"text": "a"}']
)
def test_what_is_not_json_is_refused(app: ClassifyEndpoint, body: bytes) -> None:
    refused(ask(app, "POST", "/classify", content=body, headers={"content-type": "application/json"}), 400, "malformed_json")


def test_other_media_types_are_refused(app: ClassifyEndpoint) -> None:
    refused(ask(app, "POST", "/classify", content=b'{"text": "a"}', headers={"content-type": "text/plain"}), 415, "unsupported_media_type")
    refused(ask(app, "POST", "/classify", content=b'{"text": "a"}'), 415, "unsupported_media_type")
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    refused(ask(app, "POST", "/classify", content=b"x", headers=headers), 415, "unsupported_encoding")
    good = ask(app, "POST", "/classify", content='{"text": "né"}'.encode(), headers={"content-type": "application/json; charset=utf-8"})
    assert good.status_code == 200


def test_other_paths_and_methods_are_refused(app: ClassifyEndpoint) -> None:
    refused(ask(app, "GET", "/nowhere"), 404, "not_found")
    refused(ask(app, "GET", "/classify"), 405, "wrong_method")
    assert ask(app, "GET", "/classify").headers["allow"] == "POST"
    refused(ask(app, "POST", "/livez"), 405, "wrong_method")
    for route in ROUTES:
        answer = ask(app, "DELETE", route.path)
        if route.door is not None:
            refused(answer, 404, "not_found")  # the foreign protocols are off by default
            continue
        refused(answer, 405, "wrong_method")
        assert answer.headers["allow"] == ", ".join(route.methods)


def scope(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/classify",
        "server": ("127.0.0.1", 3000),
        "headers": [(b"content-type", b"application/json"), *headers],
    }


def raw(app: ClassifyEndpoint, receive: Callable[[], Any], headers: list[tuple[bytes, bytes]]) -> tuple[int, dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(app(scope(headers), receive, send))
    return (sent[0]["status"], json.loads(sent[1]["body"])) if sent else (0, {})


def test_a_body_over_the_limit_is_refused_before_it_is_read(app: ClassifyEndpoint) -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("the body was read")

    for declared in (b"2001", b"99999999999999999999", b"-1", b"abc"):
        status, body = raw(app, never, [(b"content-length", declared)])
        assert (status, body["code"]) == (413, "body_too_large")


def test_a_body_that_does_not_say_its_size_is_cut_off_at_the_limit(app: ClassifyEndpoint) -> None:
    read = 0

    async def endless() -> dict[str, Any]:
        nonlocal read
        read += 1_000
        return {"type": "http.request", "body": b"x" * 1_000, "more_body": True}

    status, body = raw(app, endless, [])
    assert (status, body["code"]) == (413, "body_too_large")
    assert read == 3_000


def test_a_slow_body_times_out(app: ClassifyEndpoint) -> None:
    async def slow() -> dict[str, Any]:
        await asyncio.sleep(5)
        return {}

    status, body = raw(app, slow, [])
    assert (status, body["code"]) == (408, "body_too_slow")


def test_a_client_that_leaves_gets_nothing(app: ClassifyEndpoint) -> None:
    async def left() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert raw(app, left, []) == (0, {})


def test_a_slow_model_times_out(app: ClassifyEndpoint, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def undecided(*_: Any) -> None:
        raise PipelineNeededError

    async def slow(*_: Any) -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr(LoadedModel, "row_at_once", undecided)
    monkeypatch.setattr(runtime.predictor, "_beside", slow)
    refused(ask(app, "POST", "/classify", json={"text": "a"}), 504, "too_slow")


def test_what_goes_wrong_inside_is_not_shown(
    app: ClassifyEndpoint, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: Any) -> dict[str, Any]:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(runtime, "classify", broken)
    refused(ask(app, "POST", "/classify", json={"text": SECRET}), 500, "internal")
    logged = capsys.readouterr().err
    assert "RuntimeError" in logged
    assert SECRET not in logged


def test_more_requests_at_once_than_allowed_are_told_to_come_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(folder, ServiceSettings.read(max_in_flight=2, access_log=False))
    runtime.load()
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)

    async def waits(*_: Any) -> dict[str, Any]:
        await asyncio.sleep(0.3)
        return {}

    monkeypatch.setattr(runtime, "classify", waits)

    async def go() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.post("/classify", json={"text": "a"}) for _ in range(5)))

    answers = asyncio.run(go())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503]
    overloaded = next(answer for answer in answers if answer.status_code == 503)
    refused(overloaded, 503, "overloaded")
    assert overloaded.headers["retry-after"] == "1"


def test_not_ready_until_the_model_is_loaded(folder: Path) -> None:
    runtime = Runtime(folder, ServiceSettings.read(access_log=False))
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)
    assert ask(app, "GET", "/readyz").status_code == 503
    assert ask(app, "GET", "/livez").status_code == 200
    refused(ask(app, "POST", "/classify", json={"text": "a"}), 503, "not_ready")
    runtime.load()
    assert ask(app, "GET", "/readyz").json() == {"ready": True, "model_version": "7"}


def test_the_card_says_what_is_served(app: ClassifyEndpoint) -> None:
    card = ask(app, "GET", "/model").json()
    assert card["classes"] == ["délai", "merci", "voirie"]
    assert card["version"] == "7"
    assert card["compiled"] is True
    assert card["golden_predictions"] == 24


def test_metrics_count_what_was_answered(folder: Path) -> None:
    runtime = Runtime(folder, ServiceSettings.read(access_log=False))
    runtime.load()
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)
    ask(app, "POST", "/classify", json={"text": "merci"})
    ask(app, "POST", "/classify", json={"text": ""})
    text = ask(app, "GET", "/metrics").text
    assert 'passerelle_requests_total{door="",route="/classify",status="200"} 1.0' in text
    assert 'passerelle_requests_total{door="",route="/classify",status="503"} 0.0' in text, "a rate begins before the first fault"
    assert 'passerelle_requests_total{door="",route="/classify",status="422"} 1.0' in text
    assert 'passerelle_predictions_total{label="merci",model_version="7"} 1.0' in text


def test_the_description_has_an_example_that_works(app: ClassifyEndpoint) -> None:
    description = ask(app, "GET", "/openapi.json").json()
    operation = description["paths"]["/classify"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert list(examples) == ["français", "english", "logged"]
    assert {ask(app, "POST", "/classify", json=each["value"]).status_code for each in examples.values()} == {200}
    for status, answer in operation["responses"].items():
        assert answer["content"]["application/json"]["example"], status


@given(text=st.text(alphabet=st.characters(), min_size=1, max_size=100))
def test_any_text_is_answered_or_refused(app: ClassifyEndpoint, text: str) -> None:
    body = json.dumps({"text": text}).encode()
    assert ask(app, "POST", "/classify", content=body, headers={"content-type": "application/json"}).status_code in {200, 400, 422}


@given(body=st.binary(max_size=300))
def test_any_bytes_are_answered_or_refused(app: ClassifyEndpoint, body: bytes) -> None:
    assert ask(app, "POST", "/classify", content=body, headers={"content-type": "application/json"}).status_code in {200, 400, 422}

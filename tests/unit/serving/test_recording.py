"""What the endpoint records of its answers, and that a request that was refused is none."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.recording import write_until_shutdown
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.monitoring.prediction_log.answers import lines_of
from tests.unit.serving.models import text_bento_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_bento_model(tmp_path_factory.mktemp("model") / "test")


@pytest.fixture
def endpoint(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClassifyEndpoint]:
    """Make an endpoint with these variables."""

    def make(**variables: str) -> ClassifyEndpoint:
        for name, value in {"PREDICTION_LOG": str(tmp_path / "log"), **variables}.items():
            monkeypatch.setenv(f"PASSERELLE_{name}", value)
        runtime = Runtime(folder, ServiceSettings.read({}, access_log=False))
        runtime.load()
        return ClassifyEndpoint(build_app(runtime), runtime=runtime)

    return make


def answers(app: ClassifyEndpoint, *requests: tuple[str, Any]) -> list[Any]:
    """Return what these requests are answered with; the log is closed then."""

    async def go() -> list[Any]:
        log = app._runtime.prediction_log
        closing = None if log is None else write_until_shutdown(log, nowhere)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            found = [(await client.post(path, json=body)).json() for path, body in requests]
            found.append((await client.get("/model")).json()["prediction_log"])
        if closing is not None:
            await closing({"type": "lifespan.shutdown.complete"})
        return found

    return asyncio.run(go())


async def nowhere(_: Any) -> None:
    pass


def test_each_answer_is_recorded_with_what_was_known_of_it(endpoint: Callable[..., ClassifyEndpoint], tmp_path: Path) -> None:
    records = [{"text": "trottoir cassé"}, {"text": "un grand merci"}]
    single, batch, state = answers(endpoint(), ("/classify", {"text": "un grand merci zzzz"}), ("/classify/batch", {"records": records}))
    lines = lines_of(tmp_path / "log")
    assert [line["prediction_id"] for line in lines] == [each["prediction_id"] for each in (single, *batch["predictions"])]
    for line, answer in zip(lines, (single, *batch["predictions"]), strict=True):
        assert [line[name] for name in ("label", "probability", "review", "model_version")] == [
            answer[name] for name in ("label", "probability", "review", "model_version")
        ]
        assert (line["second_label"], line["second_probability"]) == tuple(answer["top"][1].values())
        assert (line["key_name"], line["fields"], line["registered_model"]) == ("loopback", None, "test")
        assert line["artifact_digest"].startswith("sha256:")
        assert 0 < line["latency_ms"] < 10_000
    assert [line["batch"] for line in lines] == [False, True, True]
    assert [(line["characters"], line["words"]) for line in lines] == [(19, 4), (14, 2), (14, 3)]
    assert lines[0]["known_ngrams"] < lines[2]["known_ngrams"] <= 1.0
    assert state | {"written": 0, "waiting": 0} == {
        "state": "writing",
        "fault": None,
        "text": "off",
        "columns": [],
        "waiting": 0,
        "written": 0,
        "dropped": {"queue": 0, "disk": 0, "folder": 0, "record": 0, "process": 0, "shutdown": 0},
    }


def test_a_refused_request_is_not_recorded(endpoint: Callable[..., ClassifyEndpoint], tmp_path: Path) -> None:
    answers(endpoint(), ("/classify", {"text": " "}), ("/classify/batch", {"records": [{"text": "merci"}, {"text": ""}]}))
    assert lines_of(tmp_path / "log") == []


def test_without_a_folder_nothing_is_recorded_and_the_card_says_so(endpoint: Callable[..., ClassifyEndpoint], tmp_path: Path) -> None:
    *_, state = answers(endpoint(PREDICTION_LOG=""), ("/classify", {"text": "merci"}))
    assert state == {"state": "off"}
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_compiled_knows_no_ngrams(endpoint: Callable[..., ClassifyEndpoint], tmp_path: Path) -> None:
    app = endpoint(LOG_TEXT="full")
    object.__setattr__(app._runtime.ready(), "scorer", None)
    answers(app, ("/classify", {"text": "un grand merci"}))
    (line,) = lines_of(tmp_path / "log")
    assert (line["known_ngrams"], line["fields"]) == (None, {"text": "un grand merci"})


def test_drops_are_counted_in_the_metrics(endpoint: Callable[..., ClassifyEndpoint]) -> None:
    app = endpoint(LOG_QUEUE="1")
    log = app._runtime.prediction_log
    assert log is not None

    async def go() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            for _ in range(3):
                assert (await client.post("/classify", json={"text": "merci"})).status_code == 200
            return (await client.get("/metrics")).text

    metrics = asyncio.run(go())
    assert 'passerelle_prediction_log_dropped_total{reason="queue"} 2.0' in metrics
    assert 'passerelle_prediction_log_dropped_total{reason="disk"} 0.0' in metrics


#: Share of the processor time of an answer that its line may take; a tenth is usual on a machine with nothing else to do.
MOST_COST = 0.5


@pytest.mark.timing
def test_a_line_takes_a_fraction_of_the_time_of_its_answer(endpoint: Callable[..., ClassifyEndpoint]) -> None:
    recorded = endpoint(LOG_TEXT="redacted", LOG_DIGEST_KEY="k")
    log = recorded._runtime.prediction_log
    assert log is not None
    silent = endpoint(PREDICTION_LOG="")
    log.start()
    text = {"text": "Le trottoir est cassé devant chez moi depuis trois mois, et personne ne répond à mes demandes. " * 5}

    async def processor_seconds(app: ClassifyEndpoint) -> float:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            began = time.process_time()
            for _ in range(32):
                await client.post("/classify", json=text)
            return time.process_time() - began

    async def go() -> list[float]:
        return [await processor_seconds(recorded) / await processor_seconds(silent) for _ in range(7)]

    try:
        assert statistics.median(asyncio.run(go())) < 1 + MOST_COST
    finally:
        log.close()

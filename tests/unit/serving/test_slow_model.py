"""A model that is too slow: who was told so leaves nothing in any queue, and a place is free again only when the work is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from passerelle.model.answer import ScoredRow
from passerelle.model.loaded import LoadedModel
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.hostile_bodies import JSON_TYPE, Answer, messages, send_raw
from tests.unit.serving.models import text_bento_model

PLACES = 16
SINGLE, BATCH = ("/classify", b'{"text": "merci"}'), ("/classify/batch", b'{"records": [{"text": "merci"}]}')


def good(records: Sequence[Mapping[str, Any]]) -> list[ScoredRow]:
    return [ScoredRow(0, [1.0, 0.0, 0.0])] * len(records)


class Model:
    """In the place of the pipeline: waits until it is let go, and notes what it was asked."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[int] = []
        self.answers: Callable[[Sequence[Mapping[str, Any]]], list[ScoredRow]] = good

    def rows(self, records: Sequence[Mapping[str, Any]]) -> list[ScoredRow]:
        self.asked.append(len(records))
        assert self.go.wait(10)
        return self.answers(records)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model()
    monkeypatch.setattr(LoadedModel, "rows", lambda _, records: made.rows(records))
    return made


@pytest.fixture
def runtime(tmp_path: Path, model: Model) -> Runtime:
    folder = text_bento_model(tmp_path / "model")
    made = Runtime(folder, ServiceSettings.read(access_log=False, max_in_flight=PLACES, model_timeout_s=0.3))
    object.__setattr__(made.load(), "scorer", None)
    return made


def gauge(runtime: Runtime, name: str) -> float:
    asyncio.run(runtime.metrics.rendered())
    return float(getattr(runtime.metrics, name)._value.get())


async def sent(app: ClassifyEndpoint, *requests: tuple[str, bytes]) -> list[Answer]:
    return await asyncio.gather(*(send_raw(app, path, messages(body, []), [JSON_TYPE]) for path, body in requests))


async def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come back")


@pytest.mark.timing
def test_what_timed_out_is_dropped_and_keeps_its_place_only_while_it_runs(runtime: Runtime, model: Model) -> None:
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)

    async def go() -> None:
        first = asyncio.create_task(sent(app, SINGLE, SINGLE))
        await until(lambda: model.asked)
        for _ in range(3):
            answers = await sent(app, *[SINGLE] * (PLACES - 4), BATCH, BATCH)
            assert {answer.status for answer in answers} == {504}
            # They only waited: their places are free again, and nothing of them is left.
            await until(lambda: app._admission.waiting == 2)
            assert runtime.queued == 0
            assert runtime.predictor._executor._work_queue.qsize() == 0
        assert {answer.status for answer in await first} == {504}
        assert (app._admission.waiting, app._in_flight) == (2, 0)
        refused = await sent(app, *[SINGLE] * (PLACES - 1))
        assert sorted(answer.status for answer in refused) == [503] + [504] * (PLACES - 2)
        model.go.set()
        await until(lambda: app._admission.waiting == 0)
        assert [answer.status for answer in await sent(app, SINGLE, BATCH)] == [200, 200]
        assert model.asked == [2, 1, 1], "what timed out was never predicted"

    asyncio.run(go())
    assert (gauge(runtime, "in_flight"), gauge(runtime, "queued")) == (0, 0)


def test_a_model_that_answers_too_few_does_not_stop_the_batches(runtime: Runtime, model: Model) -> None:
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)
    model.go.set()

    async def go() -> None:
        model.answers = lambda _: []
        assert {answer.status for answer in await sent(app, SINGLE, SINGLE, SINGLE)} == {500}
        model.answers = good
        assert {answer.status for answer in await sent(app, SINGLE, SINGLE)} == {200}

    asyncio.run(go())
    assert app._admission.waiting == 0

"""What a request costs grows with its bytes and no faster, and long work lets others through."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passerelle.model.answer import ScoredRow
from passerelle.model.loaded import LoadedModel
from passerelle.model.record import Column
from passerelle.serving.contract import Contract, RequestError, contract_of
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.predictor import PIPELINE_CHARACTERS
from passerelle.serving.runtime import Runtime
from passerelle.serving.time_slices import ONE_TURN_BYTES
from passerelle.settings import ServiceSettings
from tests.e2e.attack import dear_texts
from tests.unit.serving.hostile_bodies import JSON_TYPE, Answer, messages, send_raw
from tests.unit.serving.models import text_bento_model

CONTRACT = contract_of((Column("text", "string"),), max_text_characters=20_000, max_records=1_000, example=None)
MIB = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_bento_model(tmp_path_factory.mktemp("model") / "test")


@pytest.fixture
def runtime(folder: Path) -> Runtime:
    made = Runtime(folder, ServiceSettings.read(access_log=False))
    made.load()
    return made


def service(runtime: Runtime) -> ClassifyEndpoint:
    return ClassifyEndpoint(build_app(runtime), runtime=runtime)


async def posted(app: ClassifyEndpoint, path: str, content: Any) -> Answer:
    return await send_raw(app, path, messages(json.dumps(content, ensure_ascii=False).encode(), []), [JSON_TYPE])


@pytest.mark.parametrize("text", ["e" + "\u0301" * 31, "\u0301" * 20_000, "\ufdfa" * 20_000], ids=["marks", "only marks", "ligatures"])
def test_a_text_without_bound_is_refused_with_its_field(runtime: Runtime, text: str) -> None:
    app = service(runtime)
    alone = asyncio.run(posted(app, "/classify", {"text": text}))
    batch = asyncio.run(posted(app, "/classify/batch", {"records": [{"text": "merci"}, {"text": text}]}))
    for answer, field in ((alone, "text"), (batch, "records.1.text")):
        said = json.loads(answer.body)
        assert (answer.status, said["code"], said["field"]) == (422, "invalid_record", field)
        assert text[:20] not in answer.body.decode()


def test_a_batch_of_too_many_characters_is_refused(folder: Path) -> None:
    runtime = Runtime(folder, ServiceSettings.read(access_log=False, max_batch_characters=100))
    runtime.load()
    for text in ("a" * 51, "\ufdfa" * 3):
        answer = asyncio.run(posted(service(runtime), "/classify/batch", {"records": [{"text": text}] * 2}))
        said = json.loads(answer.body)
        assert (answer.status, said["field"]) == (422, "records")
        assert said["message"] == "holds more than 100 characters of text, once decomposed (Unicode NFKD)"


def filled(unit: bytes, before: bytes, after: bytes, size: int) -> bytes:
    return before + b",".join([unit] * ((size - len(before) - len(after)) // (len(unit) + 1))) + after


BATCH = (b'{"records":[', b"]}")
BODIES: dict[str, tuple[bytes, bytes, bytes]] = {
    "records": (b'{"text":"a"}', *BATCH),
    "lists": (b"[]", *BATCH),
    "numbers": (b"1", *BATCH),
    "long numbers": (b"9" * 4_000, *BATCH),
    "numbers of the longest length": (b"9" * 999, *BATCH),
    "digits that end in spaces": (b"9" * 99 + b" " * 30, *BATCH),
    "spaces": (b" ", b"{", b"}"),
    "one number": (b"9" * 1_000_000, b'{"text":', b"}"),
    "nested": (b"[" * 1_000, b"", b""),
    "fields": (b'"a":1', b"{", b"}"),
    "the same field": (b'"records":[{"text":"a"}]', b"{", b"}"),
    "escaped quotes": (b'\\"', b'{"text":"', b'"}'),
    "quotes": (b'""', *BATCH),
}
READERS: dict[str, Callable[[Contract, bytes], Any]] = {
    "single": lambda contract, body: contract.read_one(body)[0],
    "batch": lambda contract, body: contract.read_several(body)[0],
}


@pytest.mark.timing
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", BODIES)
def test_no_body_costs_much_more_to_refuse_than_a_good_one_to_read(name: str, reader: str) -> None:
    def seconds(read: Callable[[Contract, bytes], Any], body: bytes) -> float:
        def once() -> float:
            began = time.process_time()
            with contextlib.suppress(RequestError):
                read(CONTRACT, body)
            return time.process_time() - began

        return min(once() for _ in range(3))

    good = filled(b'{"text":"' + "aucune réponse ".encode() * 60 + b'"}', *BATCH, MIB)
    usual = seconds(READERS["batch"], good)
    assert seconds(READERS[reader], filled(*BODIES[name], MIB)) < 12 * usual + 0.01


@pytest.mark.parametrize(
    ("content", "code", "field"),
    [
        ({"records": [{"text": "a" * 20}] * 1_001}, "too_many_records", "records"),
        ({"records": [{"text": "a"}, {"text": "b", "id": 1, "langue": "fr", "at": 1}] * 500}, "invalid_record", "records.1.id"),
        ({"records": [{"text": "a" * 5_000}] * 10 + [1] * 3_000}, "invalid_record", None),
        ({"records": [{"text": 'une "citation", {et} [plus], '}] * 1_000}, None, None),
        ({"records": [{"text": "\\" * 999 + '"' + ",[{" * 1_000}] * 300}, None, None),
    ],
)
def test_what_a_large_batch_holds_is_counted_outside_of_its_texts(content: Any, code: str | None, field: str | None) -> None:
    body = json.dumps(content).encode()
    if code is None:
        assert CONTRACT.read_several(body)[0] == content["records"]
        return
    with pytest.raises(RequestError) as refused:
        CONTRACT.read_several(body)[0]
    assert (refused.value.status, refused.value.code, refused.value.field) == (422, code, field)


def test_a_batch_of_too_many_records_is_refused_before_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouched:
        def validate_json(self, _: bytes) -> None:
            raise AssertionError("the records were built")

    monkeypatch.setattr(CONTRACT.batch, "__pydantic_validator__", Untouched())
    with pytest.raises(RequestError) as refused:
        CONTRACT.read_several(json.dumps({"records": [{"text": "a"}] * 1_001}).encode())[0]
    assert refused.value.code == "too_many_records"


def turns_during(work: Callable[[], Any]) -> tuple[Any, int]:
    """Return what comes of the work, and how often others got their turn meanwhile."""

    async def go() -> tuple[Any, int]:
        task = asyncio.ensure_future(work())
        turns = 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return task.result(), turns

    return asyncio.run(go())


@pytest.mark.parametrize("text", dear_texts(), ids=["marks", "ligatures", "hangul", "no space", "dotted I"])
def test_a_long_text_lets_others_through_and_gets_the_same_answer(runtime: Runtime, text: str) -> None:
    assert runtime.model is not None
    assert runtime.model.scorer is not None
    at_once = runtime.model.row_at_once(runtime.model.scorer, {"text": text})
    again = Runtime(runtime.folder, runtime.settings)
    model = again.load()  # has not seen the text yet
    row, turns = turns_during(lambda: again.predictor.one(model, {"text": text}))
    assert row == at_once, "the same to the bit"
    assert turns > len(text) // 2_000
    rows, _ = turns_during(lambda: again.predictor.several(model, [{"text": "merci"}, {"text": text}]))
    assert rows[1] == at_once


def test_a_batch_lets_others_through_by_its_characters(runtime: Runtime) -> None:
    records = [{"text": "aucune réponse " * 30}] * 100
    _, turns = turns_during(lambda: runtime.classify_batch(records))
    assert turns > 100 * 450 // ONE_TURN_BYTES


def test_many_long_texts_get_one_slice_a_turn_together(runtime: Runtime) -> None:
    assert runtime.model is not None
    slices = {"in this turn": 0, "most": 0}

    def counted() -> Any:
        for _ in range(20):
            slices["in this turn"] += 1
            slices["most"] = max(slices["most"], slices["in this turn"])
            yield
        return ScoredRow(0, None)

    async def go() -> None:
        works = asyncio.gather(*(runtime.predictor.slices.run(counted()) for _ in range(8)))
        while not works.done():
            slices["in this turn"] = 0
            await asyncio.sleep(0)

    asyncio.run(go())
    assert slices["most"] == 1


def test_long_requests_leave_room_for_short_ones(folder: Path) -> None:
    runtime = Runtime(folder, ServiceSettings.read(access_log=False, max_in_flight=8))
    runtime.load()
    app, long = service(runtime), {"text": "aucune réponse " * 1_000}

    async def go() -> list[int]:
        asked = [asyncio.ensure_future(posted(app, "/classify", long)) for _ in range(12)]
        await asyncio.sleep(0)
        asked.append(asyncio.ensure_future(posted(app, "/classify", {"text": "merci"})))
        return [answer.status for answer in await asyncio.gather(*asked)]

    statuses = asyncio.run(go())
    assert statuses[-1] == 200
    assert statuses[:-1].count(200) == 7
    assert statuses[:-1].count(503) == 5


def test_the_pipeline_predicts_a_bounded_number_of_characters_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def rows(_: LoadedModel, records: Any) -> list[ScoredRow]:
        asked.append(sum(len(record["text"]) for record in records))
        return [ScoredRow(0, [1.0, 0.0, 0.0])] * len(records)

    monkeypatch.setattr(LoadedModel, "rows", rows)
    runtime = Runtime(folder, ServiceSettings.read(access_log=False))
    model = runtime.load()
    object.__setattr__(model, "scorer", None)
    records = [{"text": "aucune réponse " * 1_200}] * 20

    async def go() -> None:
        await asyncio.gather(*(runtime.classify(record) for record in records), runtime.classify_batch(records))

    asyncio.run(go())
    assert sum(asked) == 2 * 20 * 18_000
    assert max(asked) <= PIPELINE_CHARACTERS


@pytest.mark.timing
def test_a_stall_of_the_event_loop_is_seen(runtime: Runtime) -> None:
    async def go() -> None:
        runtime.metrics.keep_sampling()
        await asyncio.sleep(0.01)
        time.sleep(0.3)
        await asyncio.sleep(0.15)

    asyncio.run(go())
    assert runtime.metrics.lag._sum.get() >= 0.19
    assert b"passerelle_event_loop_lag_seconds_bucket" in runtime.metrics.render()

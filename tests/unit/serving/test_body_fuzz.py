"""Whatever bytes come in on /classify, in whatever pieces: an answer or the one error envelope, never a 5xx, never what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.hostile_bodies import JSON_TYPE, SECRET, Answer, bodies, messages, numbers, send_raw, text_body
from tests.unit.serving.models import text_bento_model, write_bento_model
from training.candidates import tabular_candidates

LIMIT = 4_000
DEEPEST = 100
PATHS = ("/classify", "/classify/batch")
GOOD = (
    text_body(f"un grand merci {SECRET}"),
    json.dumps({"text": SECRET}, ensure_ascii=False).encode(),
    json.dumps({"records": [{"text": SECRET}, {"text": "merci"}]}).encode(),
)
CODES = {400: {"malformed_json"}, 413: {"body_too_large"}, 415: {"unsupported_media_type", "unsupported_encoding"}}
CODES |= {422: {"invalid_record", "too_many_records"}}


@dataclass
class Service:
    """The application in this process, on one event loop for all of its requests."""

    app: ClassifyEndpoint
    runtime: Runtime
    runner: asyncio.Runner

    def send(self, path: str, incoming: list[dict[str, Any]], headers: list[tuple[bytes, bytes]]) -> Answer:
        """Return the answer; nothing that goes wrong may be told on stderr either."""
        with contextlib.redirect_stderr(io.StringIO()) as said:
            answer = self.runner.run(send_raw(self.app, path, incoming, headers))
        assert SECRET not in said.getvalue()
        assert "passerelle_requests_in_flight 0.0" in self.runtime.metrics.render().decode()
        return answer

    def post(self, body: bytes, path: str = PATHS[0]) -> Answer:
        return self.send(path, messages(body, []), [JSON_TYPE])


@contextlib.contextmanager
def service(folder: Path) -> Iterator[Service]:
    limits = {"max_body_bytes": LIMIT, "max_text_characters": 500, "max_records": 5, "body_timeout_s": 5.0}
    runtime = Runtime(folder, ServiceSettings.read(access_log=False, **limits))
    runtime.load()
    with asyncio.Runner() as runner:
        yield Service(ClassifyEndpoint(build_app(runtime), runtime=runtime), runtime, runner)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(text_bento_model(tmp_path_factory.mktemp("texts") / "model")) as running:
        yield running


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A model of numbers, which is not compiled: the pipeline itself answers, behind the batcher."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"size": random.normal(size=40) / 100, "count": random.integers(0, 9, 40)})
    candidate = next(each for each in tabular_candidates(["size", "count"], []) if each.name == "scaled_lr")
    pipeline = candidate.pipeline.fit(table, np.where(table["size"] > 0, "haut", "bas"))
    with service(write_bento_model(tmp_path_factory.mktemp("rows") / "model", pipeline, table)) as running:
        yield running


def keys_of(body: bytes) -> set[str]:
    """Return the keys of a body, which a refusal may name."""
    found: set[str] = set()

    def pairs(items: list[tuple[str, Any]]) -> None:
        found.update(key for key, _ in items)

    with contextlib.suppress(ValueError, RecursionError):
        json.loads(body.decode("utf-8", "replace"), object_pairs_hook=pairs)
    return found


def held(answer: Answer, body: bytes) -> None:
    """Hold an answer to the contract."""
    assert answer.messages == ["http.response.start", "http.response.body"]
    assert answer.status in {200, *CODES}, (answer.status, answer.body)
    assert int(answer.headers[b"content-length"]) == len(answer.body)
    content = json.loads(answer.body)
    if answer.status != 200:
        assert set(content) <= {"code", "message", "field", "request_id"}
        assert content["code"] in CODES[answer.status]
        assert answer.headers[b"x-request-id"].decode() == content["request_id"]
    if not any(SECRET in key for key in keys_of(body)):
        assert SECRET not in json.dumps(content, ensure_ascii=False)
        assert SECRET.encode() not in answer.body


def held_as_json(answer: Answer, body: bytes, path: str) -> None:
    """Hold an answer to what Python's own reader makes of the body."""
    held(answer, body)
    if answer.status == 200:
        content = json.loads(body.decode("utf-8"))
        records = [content] if path == PATHS[0] else content["records"]
        assert all(isinstance(record["text"], str) and record["text"].strip() for record in records)
    if answer.status == 400:
        with pytest.raises((ValueError, RecursionError)):
            strictly(body)


def strictly(body: bytes) -> Any:
    """Return what the body says, by the letter of RFC 8259.

    Raises:
        ValueError: It is not JSON: NaN and lone surrogates are not; or it is nested deeper than a reader has to go.
    """
    if max(body.count(b"["), body.count(b"{")) > DEEPEST:
        raise ValueError("too deep")

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    content = json.loads(body.decode("utf-8"), parse_constant=refuse)
    json.dumps(content, ensure_ascii=False).encode()
    return content


@given(body=bodies(GOOD), path=st.sampled_from(PATHS))
def test_any_body_is_answered_or_refused(texts: Service, body: bytes, path: str) -> None:
    held_as_json(texts.post(body, path), body, path)


@given(body=st.one_of(st.sampled_from(GOOD), bodies(GOOD)), cuts=st.lists(st.integers(0, 300), max_size=6), path=st.sampled_from(PATHS))
def test_a_body_in_pieces_is_answered_as_in_one(texts: Service, body: bytes, cuts: list[int], path: str) -> None:
    whole, pieces = texts.post(body, path), texts.send(path, messages(body, cuts), [JSON_TYPE])
    held(pieces, body)
    assert pieces.status == whole.status
    if whole.status != 200:
        assert [json.loads(each.body).get("code") for each in (pieces, whole)] == [json.loads(whole.body)["code"]] * 2


@given(body=st.sampled_from(GOOD), cuts=st.lists(st.integers(0, 300), max_size=6), path=st.sampled_from(PATHS))
def test_a_client_that_leaves_anywhere_gets_nothing(texts: Service, body: bytes, cuts: list[int], path: str) -> None:
    assert texts.send(path, messages(body, cuts, complete=False), [JSON_TYPE]).messages == []


@given(extra=st.integers(1, 3_000), cuts=st.lists(st.integers(0, LIMIT), max_size=6), declared=st.sampled_from((None, b"5", b"0")))
def test_a_body_over_the_limit_is_refused_whatever_it_says_of_its_size(
    texts: Service, extra: int, cuts: list[int], declared: bytes | None
) -> None:
    body = GOOD[0].ljust(LIMIT + extra)
    headers = [JSON_TYPE] + ([(b"content-length", declared)] if declared else [])
    answer = texts.send(PATHS[0], messages(body, cuts), headers)
    held(answer, body)
    assert (answer.status, answer.headers[b"connection"]) == (413, b"close")


LIES = st.one_of(
    st.sampled_from((b"", b"+5", b" 5", b"5 ", b"0x10", b"1e3", b"5,5", b"-0", b"00000000000000000000005", b"5\x00", b"\xd9\xa3", b"\xb2")),
    st.integers(0, LIMIT).map(lambda number: b"%d" % number),
    st.binary(max_size=8),
)
HEADER_NAMES = (b"content-length", b"x-request-id", b"traceparent", b"authorization", b"content-encoding", b"content-type", b"accept")


@given(
    body=st.sampled_from(GOOD),
    declared=st.one_of(st.none(), LIES),
    others=st.lists(st.tuples(st.sampled_from(HEADER_NAMES), st.one_of(LIES, st.binary(max_size=80))), max_size=4),
)
def test_headers_that_lie_or_mean_nothing(texts: Service, body: bytes, declared: bytes | None, others: list[tuple[bytes, bytes]]) -> None:
    given_length = [] if declared is None else [(b"content-length", declared)]
    held(texts.send(PATHS[0], messages(body, []), [JSON_TYPE, *given_length, *others]), body)


@given(size=numbers(), count=st.one_of(numbers(), st.just(b"1")))
def test_any_number_is_answered_or_refused(rows: Service, size: bytes, count: bytes) -> None:
    body = b'{"size": ' + size + b', "count": ' + count + b"}"
    held(rows.post(body), body)


def test_a_record_that_the_model_cannot_take_does_not_spoil_the_others(rows: Service) -> None:
    bodies_sent = [b'{"size": 0.01, "count": 3}', b'{"size": 1.7976931348623157e308, "count": 3}', b'{"size": -0.01, "count": 3}']

    async def together() -> list[Answer]:
        return await asyncio.gather(*(send_raw(rows.app, PATHS[0], messages(body, []), [JSON_TYPE]) for body in bodies_sent))

    first, _, last = rows.runner.run(together())
    assert (first.status, last.status) == (200, 200)


def test_what_the_fuzz_sends_reaches_both_ends(texts: Service, rows: Service) -> None:
    assert texts.post(GOOD[0]).status == 200
    assert texts.post(GOOD[2], PATHS[1]).status == 200
    assert rows.post(b'{"size": 0.01, "count": 3}').status == 200
    assert rows.post(b'{"size": 0.01, "count": 3.5}').status == 422

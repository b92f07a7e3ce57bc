"""The body reader's limits, to the byte and to the second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import astuple
from types import SimpleNamespace

import pytest

from passerelle.serving import body as module
from passerelle.serving.body import BodyReader, ClientLeft
from passerelle.serving.contract import RequestError
from tests.unit.serving.body_messages import (
    LEFT,
    LIMIT,
    TIMEOUT_S,
    TOO_LARGE,
    TOO_SLOW,
    Message,
    length,
    piece,
    read,
    refused,
    sends,
    virtual_loop,
)
from tests.unit.serving.virtual_time import VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    with virtual_loop() as found:
        yield found


@pytest.fixture
def reader() -> BodyReader:
    return BodyReader(LIMIT, TIMEOUT_S)


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(b"x" * LIMIT, more=False)],
        [{"type": "http.request", "body": b"x" * LIMIT}],
        [piece(b"x" * 400), piece(b"y" * 600, more=False)],
        [piece(b""), piece(b"x"), {"type": "http.request", "more_body": True}, piece(b"y" * (LIMIT - 1), more=False)],
        [{"type": "http.request"}],
        [piece(b"x"), {"type": "http.request"}],
    ],
)
def test_a_body_up_to_the_limit_is_returned_as_it_came(loop: VirtualLoop, reader: BodyReader, pieces: list[Message]) -> None:
    whole = b"".join(each.get("body", b"") for each in pieces)
    assert read(loop, reader, sends(*pieces)) == whole


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(b"x" * (LIMIT + 1), more=False)],
        [piece(b"x" * (LIMIT + 1))],
        [piece(b"x" * LIMIT), piece(b"y", more=False)],
        [piece(b"x" * 400), piece(b"y" * 601)],
    ],
)
def test_one_byte_more_is_refused_as_soon_as_it_is_there(loop: VirtualLoop, reader: BodyReader, pieces: list[Message]) -> None:
    assert refused(loop, reader, sends(*pieces)) == TOO_LARGE


@pytest.mark.parametrize("declared", [b"0", b"5", b"%d" % LIMIT, b"0" * 15 + b"123", b"%d" % (LIMIT + 1), b"0" * 16 + b"123"])
def test_a_declared_length_is_held_to_the_limit(loop: VirtualLoop, reader: BodyReader, declared: bytes) -> None:
    fits = len(declared) <= 18 and int(declared) <= LIMIT
    if fits:
        assert read(loop, reader, sends(piece(b"{}", more=False)), length(declared)) == b"{}"
    else:
        assert refused(loop, reader, sends(AssertionError("the body was read")), length(declared)) == TOO_LARGE


@pytest.mark.parametrize("declared", [b"", b"-1", b"+1", b"1.0", b"0x1", b" 1"])
def test_what_is_no_length_is_refused_before_the_body_is_read(loop: VirtualLoop, reader: BodyReader, declared: bytes) -> None:
    assert refused(loop, reader, sends(AssertionError("the body was read")), length(declared)) == TOO_LARGE


@pytest.mark.parametrize("messages", [[LEFT], [piece(b"x"), LEFT]])
def test_a_client_that_leaves_is_no_refusal(loop: VirtualLoop, reader: BodyReader, messages: list[Message]) -> None:
    with pytest.raises(ClientLeft):
        read(loop, reader, sends(*messages))


def test_a_body_may_take_the_whole_time_and_no_longer(loop: VirtualLoop, reader: BodyReader) -> None:
    assert read(loop, reader, sends(piece(b"x"), TIMEOUT_S - 0.5, piece(b"y", more=False))) == b"xy"
    began = loop.now
    assert refused(loop, reader, sends(piece(b"x"))) == TOO_SLOW
    assert TIMEOUT_S <= loop.now - began <= 1.1 * TIMEOUT_S


def test_the_time_is_kept_to_a_tenth_of_itself(loop: VirtualLoop, reader: BodyReader) -> None:
    async def run() -> list[float]:
        async def ended(after_s: float) -> float:
            await asyncio.sleep(after_s)
            with pytest.raises(RequestError):
                await reader.read({}, sends())
            return loop.now

        return list(await asyncio.gather(*map(ended, (0.0, 0.5, 1.0, 7.25))))

    assert loop.run_until_complete(run()) == [10.0, 11.0, 11.0, 18.0]


def test_who_is_late_is_told_so_and_nothing_else_is_cancelled(loop: VirtualLoop, reader: BodyReader) -> None:
    async def run() -> tuple[int, bytes]:
        other = asyncio.create_task(reader.read({}, sends(3.0, piece(b"x"), 4.0, piece(b"y", more=False))))
        await asyncio.sleep(2.5)
        task = asyncio.current_task()
        assert task is not None
        began = loop.now
        with pytest.raises(RequestError) as found:
            await reader.read({}, sends(piece(b"x"), 3.0, piece(b"x"), 3.0, piece(b"x"), 3.0, piece(b"x")))
        assert astuple(found.value) == TOO_SLOW
        assert loop.now - began <= 1.1 * TIMEOUT_S
        return task.cancelling(), await other

    assert loop.run_until_complete(run()) == (0, b"xy")


def test_one_timer_watches_all_bodies_and_none_is_left_when_nothing_is_read(loop: VirtualLoop, reader: BodyReader) -> None:
    async def run() -> int:
        reading = [asyncio.create_task(reader.read({}, sends(piece(b"x"), 3.0, piece(b"y", more=False)))) for _ in range(5)]
        await asyncio.sleep(0.25)
        timers = loop.timers
        await asyncio.gather(*reading)
        return timers

    assert loop.run_until_complete(run()) == 5 + 1
    loop.run_until_complete(asyncio.sleep(2 * TIMEOUT_S))
    assert loop.timers == 0
    assert refused(loop, reader, sends()) == TOO_SLOW, "it watches again"


def test_a_reader_goes_on_with_another_loop(reader: BodyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, VirtualLoop)
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
            assert refused(loop, reader, sends()) == TOO_SLOW


def test_a_cancellation_by_others_goes_through(loop: VirtualLoop, reader: BodyReader) -> None:
    async def run() -> None:
        reading = asyncio.create_task(reader.read({}, sends(piece(b"x"))))
        await asyncio.sleep(1)
        reading.cancel()
        await reading

    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(run())

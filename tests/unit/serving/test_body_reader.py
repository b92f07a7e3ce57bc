"""The body reader's limits, to the byte, to the second, and to the last place that a body takes and gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import pytest

from passerelle.serving import body as module
from passerelle.serving.body import BodyReader, ClientLeft
from passerelle.serving.contract import RequestError
from tests.unit.serving.virtual_time import VirtualLoop

LIMIT = 1_000
#: Not imported, so that another number is noticed.
HELD_BODIES, HELD_BATCHES = 64, 16
TIMEOUT_S = 10.0
CLOSE = (b"connection", b"close")
Message = dict[str, Any]
#: The fields of a refusal.
Told = tuple[Any, ...]
Receive = Callable[[], Awaitable[Message]]


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


LEFT: Message = {"type": "http.disconnect"}


def sends(*messages: Message | float | BaseException) -> Receive:
    """Return what hands these messages on; a number is a pause in seconds, and after the last message the client is silent."""
    left = iter(messages)

    async def receive() -> Message:
        for message in left:
            if isinstance(message, BaseException):
                raise message
            if isinstance(message, dict):
                return message
            await asyncio.sleep(message)
        await asyncio.sleep(1e6)
        raise AssertionError

    return receive


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualLoop]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        found = runner.get_loop()
        assert isinstance(found, VirtualLoop)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=found.time))
        yield found


@pytest.fixture
def reader() -> BodyReader:
    return BodyReader(LIMIT, TIMEOUT_S)


def length(size: int | bytes) -> dict[bytes, bytes]:
    return {b"content-length": size if isinstance(size, bytes) else b"%d" % size}


def read(loop: VirtualLoop, reader: BodyReader, receive: Receive, headers: dict[bytes, bytes] | None = None) -> bytes:
    return loop.run_until_complete(reader.read(headers or {}, receive))


def refused(loop: VirtualLoop, reader: BodyReader, receive: Receive, headers: dict[bytes, bytes] | None = None) -> Told:
    with pytest.raises(RequestError) as found:
        read(loop, reader, receive, headers)
    return astuple(found.value)


TOO_LARGE: Told = (413, "body_too_large", "the body is larger than 1000 bytes", None, (CLOSE,))
TOO_SLOW: Told = (408, "body_too_slow", "the body did not arrive in time", None, (CLOSE,))
CROWDED_OUT: Told = (503, "overloaded", "too many requests at once", None, ((b"retry-after", b"1"), CLOSE))


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


async def half_read(reader: BodyReader, count: int, headers: dict[bytes, bytes], *, batch: bool = False) -> list[asyncio.Task[bytes]]:
    tasks = [asyncio.create_task(reader.read(headers, sends(piece(b"x")), batch=batch)) for _ in range(count)]
    await asyncio.sleep(0.001)
    return tasks


def told(task: asyncio.Task[bytes]) -> Told:
    refusal = task.exception()
    assert isinstance(refusal, RequestError)
    return astuple(refusal)


def crowded_out(tasks: Sequence[asyncio.Task[bytes]]) -> list[int]:
    gone = [place for place, task in enumerate(tasks) if task.done()]
    assert [told(tasks[place]) for place in gone] == [CROWDED_OUT] * len(gone)
    return gone


async def give_up(tasks: Sequence[asyncio.Task[bytes]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(("declared", "fit"), [(LIMIT, HELD_BODIES), (LIMIT // 2, 2 * HELD_BODIES), (0, HELD_BODIES), (None, HELD_BODIES)])
def test_so_many_bodies_are_half_read_at_a_time(loop: VirtualLoop, reader: BodyReader, declared: int | None, fit: int) -> None:
    async def run() -> list[list[int]]:
        headers = {} if declared is None else length(declared)
        tasks = await half_read(reader, fit, headers)
        seen = [crowded_out(tasks)]
        for _ in range(2):
            tasks += await half_read(reader, 1, headers)
            seen.append(crowded_out(tasks))
        await give_up(tasks)
        return seen

    assert loop.run_until_complete(run()) == [[], [0], [0, 1]]


def test_a_body_that_came_whole_needs_nobodys_place(loop: VirtualLoop, reader: BodyReader) -> None:
    async def run() -> list[int]:
        tasks = await half_read(reader, HELD_BODIES, length(LIMIT))
        for whole in (piece(b"{}", more=False), {"type": "http.request", "body": b"{}"}):
            assert await reader.read(length(LIMIT), sends(whole)) == b"{}"
        await asyncio.sleep(0.001)
        seen = crowded_out(tasks)
        await give_up(tasks)
        return seen

    assert loop.run_until_complete(run()) == []


def test_one_large_body_takes_the_place_of_several_small_ones(loop: VirtualLoop, reader: BodyReader) -> None:
    async def run() -> list[int]:
        tasks = await half_read(reader, 10 * HELD_BODIES, length(LIMIT // 10))
        tasks += await half_read(reader, 1, length(LIMIT // 2))
        gone = crowded_out(tasks)
        await give_up(tasks)
        return gone

    assert loop.run_until_complete(run()) == [0, 1, 2, 3, 4]


async def ends_in_every_way(reader: BodyReader, *, batch: bool) -> None:
    """Read a body to each end that there is, several times."""
    two = [piece(b"x"), piece(b"y", more=False)]
    ends: list[tuple[Receive, dict[bytes, bytes]]] = [
        (sends(*two), length(LIMIT)),
        (sends(*two), length(2)),
        (sends(*two), {}),
        (sends(piece(b"x", more=False)), {}),
        (sends(piece(b"x"), LEFT), length(LIMIT)),
        (sends(piece(b"x"), piece(b"y" * LIMIT)), {}),
        (sends(piece(b"x")), {}),
        (sends(piece(b"x"), OSError()), {}),
    ]
    await asyncio.gather(*(reader.read(headers, receive, batch=batch) for receive, headers in ends), return_exceptions=True)
    await give_up(await half_read(reader, HELD_BODIES + 5, {}, batch=batch))


@pytest.mark.parametrize("batch", [False, True])
def test_a_body_that_ended_in_any_way_gives_its_place_back(loop: VirtualLoop, reader: BodyReader, batch: bool) -> None:
    async def run() -> list[list[int]]:
        await ends_in_every_way(reader, batch=batch)
        tasks = await half_read(reader, HELD_BODIES, length(LIMIT))
        seen = [crowded_out(tasks)]
        tasks += await half_read(reader, 1, length(LIMIT))
        seen.append(crowded_out(tasks))
        await give_up(tasks)
        tasks = await half_read(reader, HELD_BATCHES, length(2), batch=True)
        seen.append(crowded_out(tasks))
        tasks += await half_read(reader, 1, length(2), batch=True)
        seen.append(crowded_out(tasks))
        await give_up(tasks)
        return seen

    assert loop.run_until_complete(run()) == [[], [0], [], [0]]
    assert not any(value for name, value in vars(reader).items() if name not in ("_limit_bytes", "_timeout_s", "_looking"))


def test_the_batch_that_has_been_half_read_the_longest_gives_way(loop: VirtualLoop, reader: BodyReader) -> None:
    async def run() -> list[list[int]]:
        single = await half_read(reader, 1, length(2))
        tasks = await half_read(reader, HELD_BATCHES, length(2), batch=True)
        seen = [crowded_out(tasks)]
        assert await reader.read(length(2), sends(piece(b"{}", more=False)), batch=True) == b"{}"
        seen.append(crowded_out(tasks))
        assert await reader.read(length(2), sends(piece(b"{"), piece(b"}", more=False)), batch=True) == b"{}"
        await asyncio.sleep(0.001)
        seen.append(crowded_out(tasks))
        for _ in range(2):
            tasks += await half_read(reader, 1, length(2), batch=True)
            seen.append(crowded_out(tasks))
        assert not single[0].done()
        await give_up([*tasks, *single])
        return seen

    assert loop.run_until_complete(run()) == [[], [], [0], [0], [0, 1]]


@pytest.mark.parametrize(("batch", "fit", "size"), [(False, HELD_BODIES, LIMIT), (True, HELD_BATCHES, 2)])
def test_who_is_late_already_does_not_give_way_as_well(loop: VirtualLoop, reader: BodyReader, batch: bool, fit: int, size: int) -> None:
    """A body over its time limit gets 408, even if another body would have been dropped for it."""

    async def run() -> tuple[list[int], Told]:
        stubborn = asyncio.create_task(reader.read(length(size), _ends_slowly(), batch=batch))
        await asyncio.sleep(5)
        tasks = await half_read(reader, fit - 1, length(size), batch=batch)
        await asyncio.sleep(5.5)
        tasks += await half_read(reader, 1, length(size), batch=batch)
        gone = crowded_out(tasks)
        await asyncio.wait([stubborn])
        await give_up(tasks)
        return gone, told(stubborn)

    assert loop.run_until_complete(run()) == ([0], TOO_SLOW)


@pytest.mark.parametrize("batch", [False, True])
def test_who_gave_way_and_takes_long_to_go_is_not_late_as_well(loop: VirtualLoop, reader: BodyReader, batch: bool) -> None:
    async def run() -> Told:
        stubborn = asyncio.create_task(reader.read(length(LIMIT), _ends_slowly(), batch=batch))
        await asyncio.sleep(8)
        tasks = await half_read(reader, HELD_BODIES, length(LIMIT), batch=batch)
        await asyncio.wait([stubborn])
        await give_up(tasks)
        return told(stubborn)

    assert loop.run_until_complete(run()) == CROWDED_OUT
    assert loop.now == pytest.approx(8 + 3, abs=0.1), "it was cancelled once"


def _ends_slowly() -> Receive:
    first = iter([piece(b"x")])

    async def receive() -> Message:
        for message in first:
            return message
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            await asyncio.sleep(3)
            raise
        raise AssertionError

    return receive

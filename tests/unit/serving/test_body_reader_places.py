"""How many bodies are half read at a time, and who gives way, to the last place that a body takes and gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import astuple

import pytest

from passerelle.serving.body import BodyReader
from passerelle.serving.contract import RequestError
from tests.unit.serving.body_messages import (
    CROWDED_OUT,
    HELD_BATCHES,
    HELD_BODIES,
    LEFT,
    LIMIT,
    TIMEOUT_S,
    TOO_SLOW,
    Message,
    Receive,
    Told,
    length,
    piece,
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

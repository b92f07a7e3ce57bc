"""One rendering for everybody who asks at a time, and never one of an earlier moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from passerelle.monitoring.metrics_text import PAUSE_S, MetricsText, rendered_in_turns
from tests.unit.serving.virtual_time import VirtualLoop

Result = TypeVar("Result")


def in_virtual_time(go: Callable[[], Awaitable[Result]]) -> Result:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(go())
    finally:
        loop.close()


class Rendering:
    """Counts how often it is asked; takes a while, and is of the moment at which it began."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.fails = False

    async def __call__(self) -> bytes:
        self.began.append(now := asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        if self.fails:
            raise RuntimeError
        return f"{now:.3f}".encode()


def test_who_asks_without_a_pause_gets_no_more_than_four_texts_a_second_and_none_of_an_earlier_moment() -> None:
    rendering = Rendering()
    text = MetricsText(rendering)

    async def ask(pause_s: float) -> None:
        loop = asyncio.get_running_loop()
        while (asked := loop.time()) < 10:
            assert float(await text.current()) >= asked - 0.001, "counts of this moment are in it"
            await asyncio.sleep(pause_s)

    async def go() -> None:
        await asyncio.gather(*(ask(pause_s) for pause_s in (0.001, 0.002, 0.02, 0.3) for _ in range(5)))

    in_virtual_time(go)
    assert 20 <= len(rendering.began) <= 10 / PAUSE_S + 2


def test_one_that_leaves_or_a_rendering_that_fails_takes_nothing_from_those_who_ask_later() -> None:
    rendering = Rendering()
    text = MetricsText(rendering)

    async def go() -> None:
        leaves, stays = (asyncio.create_task(text.current()) for _ in range(2))
        await asyncio.sleep(0.01)
        leaves.cancel()
        assert await stays == b"0.000"
        rendering.fails = True
        with pytest.raises(RuntimeError):
            await text.current()
        rendering.fails = False
        assert float(await text.current()) >= PAUSE_S

    in_virtual_time(go)


def test_the_text_is_that_of_the_library_and_others_get_their_turns_meanwhile() -> None:
    registry = CollectorRegistry()
    for number in range(20):
        Counter(f"counted_{number}", 'A "help"\\ text.', ["label"], registry=registry).labels('a"b\\\n').inc(number)
    Histogram("seconds", "Time.", ["route"], registry=registry).labels("/classify").observe(0.3)
    turns = 0

    async def go() -> bytes:
        nonlocal turns
        task = asyncio.create_task(rendered_in_turns(registry))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return task.result()

    assert asyncio.run(go()) == generate_latest(registry)
    assert turns > 20

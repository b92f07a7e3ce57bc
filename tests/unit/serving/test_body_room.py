"""Slow bodies do not block other requests: the one that has been half read the longest is dropped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from passerelle.serving.body import HELD_BATCHES, HELD_BODIES, BodyReader
from passerelle.serving.contract import RequestError

LIMIT = 1_000
HEADERS = {b"content-length": str(LIMIT).encode()}


def piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def slow() -> dict[str, Any]:
    await asyncio.sleep(30)
    raise AssertionError


def half_sent() -> Any:
    messages = iter([piece(b"{", more=True)])

    async def receive() -> dict[str, Any]:
        message = next(messages, None)
        return message if message is not None else await slow()

    return receive


def in_two_pieces() -> Any:
    messages = iter([piece(b"{", more=True), piece(b"}", more=False)])

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return next(messages)

    return receive


def test_who_sends_slowly_gives_way_to_who_does_not() -> None:
    async def run() -> None:
        reader = BodyReader(LIMIT, timeout_s=20.0)
        held = [asyncio.create_task(reader.read(HEADERS, half_sent())) for _ in range(HELD_BODIES)]
        await asyncio.sleep(0.01)
        for _ in range(3):
            assert await reader.read(HEADERS, in_two_pieces()) == b"{}"
        await asyncio.sleep(0.01)
        gone = [each for each in held if each.done()]
        assert gone == held[:1], "one place was needed, and the oldest gave it"
        with pytest.raises(RequestError) as told:
            await gone[0]
        assert (told.value.status, told.value.code) == (503, "overloaded")
        for each in held[1:]:
            each.cancel()
        await asyncio.gather(*held[1:], return_exceptions=True)
        assert await reader.read(HEADERS, in_two_pieces()) == b"{}"

    asyncio.run(run())


def test_batches_that_are_sent_slowly_give_way_however_small_they_are() -> None:
    async def run() -> None:
        reader = BodyReader(LIMIT, timeout_s=20.0)
        small = {b"content-length": b"2"}
        held = [asyncio.create_task(reader.read(small, half_sent(), batch=True)) for _ in range(HELD_BATCHES)]
        single = asyncio.create_task(reader.read(small, half_sent()))
        await asyncio.sleep(0.01)
        assert await reader.read(small, in_two_pieces(), batch=True) == b"{}"
        await asyncio.sleep(0.01)
        assert [each for each in held if each.done()] == held[:1]
        assert not single.done()
        with pytest.raises(RequestError):
            await held[0]
        for each in (*held[1:], single):
            each.cancel()
        await asyncio.gather(*held[1:], single, return_exceptions=True)

    asyncio.run(run())

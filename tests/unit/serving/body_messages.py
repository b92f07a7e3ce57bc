"""The messages of a body that comes in pieces, on a clock that goes on only while it is waited for, and what its reader answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import pytest

from passerelle.serving import body as module
from passerelle.serving.body import BodyReader
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


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """Yield an event loop whose clock the reader goes by."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.MonkeyPatch.context() as patch:
        found = runner.get_loop()
        assert isinstance(found, VirtualLoop)
        patch.setattr(module, "time", SimpleNamespace(monotonic=found.time))
        yield found


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

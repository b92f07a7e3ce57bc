"""Limits on the body of a request: its size, its time, and the size of all bodies that are being read."""

from __future__ import annotations

import asyncio
import time

from passerelle.serving.contract import RequestError
from passerelle.serving.responses import Message, Receive

_LOOKS = 10
_LONGEST_LENGTH = 18
#: Number of bodies of the largest size that may be half read at a time.
HELD_BODIES = 64
#: Number of batches that may be half read at a time, whatever their Content-Length.
HELD_BATCHES = 16


class ClientLeft(Exception):  # noqa: N818 - the client is gone
    """The client closed the connection before its request was complete."""


def _overloaded() -> RequestError:
    return RequestError(503, "overloaded", "too many requests at once", headers=((b"retry-after", b"1"), (b"connection", b"close")))


class BodyReader:
    """Reads bodies within limits.

    Args:
        limit_bytes: Largest body.
        timeout_s: Longest wait for a whole body; kept to a tenth of itself.
    """

    def __init__(self, limit_bytes: int, timeout_s: float) -> None:
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s
        self._held_bytes = 0
        # Largest possible size of each half read body, oldest first, and the bodies that were dropped.
        self._half: dict[asyncio.Task[object], int] = {}
        self._half_batches: dict[asyncio.Task[object], None] = {}
        self._crowded_out: set[asyncio.Task[object]] = set()
        # Oldest first. One check of all of them now and then costs less than a timer for each.
        self._began: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._looking: asyncio.AbstractEventLoop | None = None

    async def read(self, headers: dict[bytes, bytes], receive: Receive, *, batch: bool = False) -> bytes:
        """Return the body.

        Args:
            headers: Of the request.
            receive: Gives the body's pieces.
            batch: Whether it counts as one of the batches that are half read.

        Raises:
            RequestError: 413 as soon as it is known to be over the limit, 408 when it does not come in time, 503 when it is the
                one that has been half read the longest, and others need its place.
            ClientLeft: The client closed the connection.
        """
        declared = headers.get(b"content-length", b"0").rstrip(b" \t")  # the parser leaves them on, and they are no part of a value
        if not declared.isdigit() or len(declared) > _LONGEST_LENGTH or int(declared) > self._limit_bytes:
            raise self._too_large()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server runs each request in one
        self._watch(task)
        try:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                if len(body) > self._limit_bytes:
                    raise self._too_large()
                return body
            return await self._rest(task, message, receive, int(declared) or self._limit_bytes, batch=batch)
        except asyncio.CancelledError:
            if task not in self._late and task not in self._crowded_out:
                raise
            task.uncancel()
            if task in self._crowded_out:
                raise _overloaded() from None
            raise RequestError(408, "body_too_slow", "the body did not arrive in time", headers=((b"connection", b"close"),)) from None
        finally:
            del self._began[task]
            self._half_batches.pop(task, None)
            self._late.discard(task)
            self._crowded_out.discard(task)

    async def _rest(self, task: asyncio.Task[object], message: Message, receive: Receive, expected_bytes: int, *, batch: bool) -> bytes:
        """Return a body that comes in pieces, whose first one is given."""
        if batch:
            self._make_room_for_batch(task)
        self._make_room(expected_bytes)
        self._half[task] = expected_bytes
        self._held_bytes += expected_bytes
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                pieces.append(message.get("body", b""))
                size_bytes += len(pieces[-1])
                if size_bytes > self._limit_bytes:
                    raise self._too_large()
                if not message.get("more_body", False):
                    return b"".join(pieces)
                message = await receive()
        finally:
            self._held_bytes -= self._half.pop(task, 0)

    def _make_room(self, expected_bytes: int) -> None:
        """Drop the bodies that have been half read the longest, so that a slow client does not block others."""
        for task in [each for each in self._half if each not in self._late]:
            if self._held_bytes + expected_bytes <= HELD_BODIES * self._limit_bytes:
                return
            self._crowd_out(task)

    def _make_room_for_batch(self, batch: asyncio.Task[object]) -> None:
        """Drop the batch that has been half read the longest if there are too many."""
        oldest = next((each for each in self._half_batches if each in self._half and each not in self._late), None)
        if oldest is not None and len(self._half_batches) >= HELD_BATCHES:
            self._crowd_out(oldest)
        self._half_batches[batch] = None

    def _crowd_out(self, task: asyncio.Task[object]) -> None:
        self._held_bytes -= self._half.pop(task)
        self._half_batches.pop(task, None)
        self._crowded_out.add(task)
        task.cancel()

    def _too_large(self) -> RequestError:
        """Return the refusal of a body over the limit; the connection is closed, so that the rest is not read."""
        message = f"the body is larger than {self._limit_bytes} bytes"
        return RequestError(413, "body_too_large", message, headers=((b"connection", b"close"),))

    def _watch(self, task: asyncio.Task[object]) -> None:
        self._began[task] = time.monotonic()
        loop = task.get_loop()
        if self._looking is not loop:
            self._looking = loop
            loop.call_later(self._timeout_s / _LOOKS, self._look)

    def _look(self) -> None:
        """Cancel late bodies, and check again while any body is being read."""
        oldest = time.monotonic() - self._timeout_s
        for task, began in self._began.items():
            if began > oldest:
                break
            if task not in self._late and task not in self._crowded_out:
                self._late.add(task)
                task.cancel()
        if self._began and self._looking is not None:
            self._looking.call_later(self._timeout_s / _LOOKS, self._look)
        else:
            self._looking = None

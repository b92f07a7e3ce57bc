"""How an answer is sent: headers, media types and the one error envelope."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from passerelle.serving.contract import RequestError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]


def envelope(refusal: RequestError, request_id: str) -> bytes:
    """Return the one error envelope."""
    content: dict[str, object] = {"code": refusal.code, "message": refusal.message, "request_id": request_id}
    if refusal.field is not None:
        content["field"] = refusal.field
    return orjson.dumps(content)


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer in two messages."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


#: From this size on, an answer that comes in pieces is no longer buffered.
_HELD_BYTES = 65_536


class OneWrite:
    """Buffers an answer before its socket, so that head and body are sent in one write.

    A process that is killed between two writes sends half an answer, and a proxy cannot repeat the request at another replica then.

    Args:
        transport: The connection's.
        read_on: Called before the connection is closed after a whole answer; returns whether it stays open until the body has arrived.
    """

    __slots__ = ("_buffer", "_buffer_bytes", "_cycle", "_read_on", "_transport")

    def __init__(self, transport: asyncio.Transport, read_on: Callable[[], bool] = lambda: False) -> None:
        self._transport = transport
        self._read_on = read_on
        self._cycle: Any = None
        self._buffer: list[bytes] = []
        self._buffer_bytes = 0

    def begin(self, cycle: Any) -> None:
        """Take the answer of this request, uvicorn's `RequestResponseCycle`."""
        self._cycle = cycle
        cycle.transport = self

    def write(self, data: bytes) -> None:
        """Buffer a piece until the answer is complete, or large."""
        if self._cycle is None or not self._cycle.response_started:  # 100 Continue: the client waits for it
            self._transport.write(data)
            return
        self._buffer.append(data)
        self._buffer_bytes += len(data)
        if self._buffer_bytes >= _HELD_BYTES:
            self._flush()

    def finish(self) -> None:
        """Write the buffer of a complete answer."""
        self._flush()
        self._cycle = None

    def forget(self) -> None:
        """Drop the buffer."""
        self._buffer.clear()
        self._cycle = None

    def close(self) -> None:
        """Close the connection: after the whole answer, or without its unsent part."""
        if self._cycle is not None and self._cycle.response_complete:
            self.finish()
            if self._read_on():
                return
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is being closed."""
        closing: bool = self._transport.is_closing()
        return closing

    def _flush(self) -> None:
        if self._buffer:
            self._transport.write(b"".join(self._buffer))
            self._buffer.clear()
            self._buffer_bytes = 0


_REFUSALS = {
    400: ("malformed_request", "the request cannot be read"),
    404: ("not_found", "there is nothing at this path; /docs shows what there is"),
    405: ("wrong_method", "this path is asked with another method"),
    416: ("range_not_satisfiable", "the range lies outside of the file, or is none"),
}


class Enveloped:
    """A `send` for an application behind: adds the security headers and the request id, and puts its refusals into the envelope.

    Attributes:
        status: Of the answer, once it began.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._replaced = False
        self.status = 500

    async def __call__(self, message: Message) -> None:
        """Send one message on."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._replaced:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        self.status = int(message["status"])
        identity = (b"x-request-id", self._request_id.encode())
        if self.status < 400:  # noqa: PLR2004 - where HTTP's errors begin
            message["headers"] = [*message.get("headers", []), identity, *SECURITY]
            await self._send(message)
            return
        self._replaced = True
        code, text = _REFUSALS.get(
            self.status, ("internal", "the service could not answer; the operator finds the cause by the request id")
        )
        allowed = [(name, value) for name, value in message.get("headers", []) if name.lower() in (b"allow", b"content-range")]
        body = envelope(RequestError(self.status, code, text), self._request_id)
        await respond(self._send, self.status, body, [JSON, identity, *allowed, *SECURITY])

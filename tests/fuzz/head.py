"""Any bytes on a connection, in any pieces: each request is answered or refused with the envelope, and what waits stays small."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from passerelle.serving.connection_kind import connection_of
from passerelle.serving.drain import Drain
from passerelle.serving.heads import HeadLimits
from passerelle.serving.responses import Receive, Scope, Send, respond

LIMITS = HeadLimits(2_048, 30.0, 100_000)
STATUSES = {b"100", b"200", b"400", b"403", b"431", b"501", b"503"}
MOST_SECONDS = 1.0
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")


class Transport(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 3_000), "peername": ("127.0.0.1", 5_000)})
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def write_eof(self) -> None:
        """The other end reads no more."""

    def pause_reading(self) -> None:
        """Everything was read."""

    def resume_reading(self) -> None:
        """Likewise."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer; no trailer and no second header that decides may have come this far."""
    names = [name for name, _ in scope["headers"]]
    assert all(names.count(name) <= 1 for name in (b"host", b"authorization", b"content-type"))
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await respond(send, 200, b"{}", [])


_REFUSED: list[int] = []
_PROTOCOL = connection_of(LIMITS, lambda status, _: _REFUSED.append(status), Drain())
_CONFIG = uvicorn.Config(app, log_config=None, interface="asgi3")
_RUNNER = asyncio.Runner()


async def exchanged(data: bytes, cut: int) -> list[bytes]:
    """Return what a connection writes when these bytes come in two pieces."""
    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    transport = Transport()
    connection = _PROTOCOL(config=_CONFIG, server_state=ServerState(), app_state={})
    connection.connection_made(transport)
    for piece in (data[:cut], data[cut:]):
        if piece and not transport.closed:
            connection.data_received(piece)
            assert connection._pending_bytes <= LIMITS.max_bytes
            assert len(connection.pipeline) <= 65
        for _ in range(6):
            await asyncio.sleep(0)
    for _ in range(4 * len(connection.pipeline)):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    for _ in range(4):
        await asyncio.sleep(0)
    assert not broken, broken
    return transport.written


def one_input(data: bytes) -> None:
    """Send bytes; the first says where they are cut."""
    cut, sent = (len(data) * data[0] // 256 if data else 0), data[1:]
    _REFUSED.clear()
    began = time.thread_time()
    written = b"".join(_RUNNER.run(exchanged(sent, cut)))
    seconds = time.thread_time() - began
    statuses = _ANSWER.findall(written)
    assert set(statuses) <= STATUSES, statuses
    assert len(_REFUSED) <= 1, "a connection that was refused is over"
    if _REFUSED:
        head, _, body = written[written.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert set(json.loads(body)) == {"code", "message", "request_id"}
    assert seconds < MOST_SECONDS, f"{seconds:.2f} s"

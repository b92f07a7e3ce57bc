"""A server in process whose connections are the service's, on a real socket, and clients that send it bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from passerelle.serving.connection import Connection
from passerelle.serving.connection_kind import connection_of
from passerelle.serving.drain import Drain
from passerelle.serving.heads import HeadLimits
from passerelle.serving.responses import Receive, Scope, Send

LIMIT = 2_048


class Server:
    """The application, the connections' protocol and what they did."""

    def __init__(self, *, timeout_s: float = 30.0, unwanted_bytes: int = 100_000) -> None:
        self.refused: list[int] = []
        self.writes: list[bytes] = []
        self.ends: list[tuple[Any, Any]] = []
        self.goes_on = asyncio.Event()
        self.drain = Drain()
        self.protocol = connection_of(
            HeadLimits(LIMIT, timeout_s, unwanted_bytes), lambda status, _: self.refused.append(status), self.drain
        )
        self.config = uvicorn.Config(self.app, log_config=None, interface="asgi3")
        self.state = ServerState()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/reads":
            while (message := await receive()).get("more_body"):
                pass
            if message["type"] == "http.disconnect":
                return
        if path == "/slow":
            await self.goes_on.wait()
        if path == "/refuses":
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"2"), (b"connection", b"close")]})
            await send({"type": "http.response.body", "body": b"no"})
            return
        if path == "/ends":
            self.ends.append((scope["server"], scope["client"]))
        if path == "/names":
            await asyncio.sleep(0.05)
            names = b",".join(name for name, _ in scope["headers"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(names))]})
            await send({"type": "http.response.body", "body": names})
            return
        streamed = path in ("/streamed", "/broken")
        headers = [] if streamed else [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if streamed:
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"o", "more_body": True})
            await asyncio.sleep(0)
        if path == "/broken":
            raise RuntimeError
        await send({"type": "http.response.body", "body": b"k" if streamed else b"ok"})

    def connection(self) -> Connection:
        written = self.writes

        class Seen:
            """The transport, with a list of what was written."""

            def __init__(self, transport: Any) -> None:
                self._transport = transport

            def __getattr__(self, name: str) -> Any:
                return getattr(self._transport, name)

            def write(self, data: bytes) -> None:
                written.append(bytes(data))
                self._transport.write(data)

        class SeenConnection(self.protocol):  # type: ignore[name-defined, misc]
            def connection_made(self, transport: Any) -> None:
                super().connection_made(Seen(transport))

        made: Connection = SeenConnection(config=self.config, server_state=self.state, app_state={})
        return made


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Server, int]]:
    server = Server(**options)
    listener = await asyncio.get_running_loop().create_server(server.connection, "127.0.0.1", 0)
    async with listener:
        yield server, listener.sockets[0].getsockname()[1]


async def read_all(reader: asyncio.StreamReader, answers: int | None = None) -> bytes:
    came = b""
    with suppress(ConnectionError):
        while (answers is None or len(statuses(came)) < answers) and (piece := await asyncio.wait_for(reader.read(65_536), 10)):
            came += piece
    return came


async def exchanged(port: int, *pieces: bytes, answers: int | None = None) -> list[int]:
    """Return the status of each answer, up to a number of them or to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(read_all(reader, answers))
    for piece in pieces:
        if not reading.done():
            writer.write(piece)
            await asyncio.sleep(0.01)
    came = await reading
    writer.close()
    return statuses(came)


def statuses(came: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", came)]

"""Requests at a rate that does not wait for the answers: a client that costs little, so that it is the service that is overloaded."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from tests.e2e.traffic import Traffic


class Line(asyncio.Protocol):
    """One connection that asks one thing at a time."""

    def __init__(self, idle: deque[Line], traffic: Traffic) -> None:
        self._idle = idle
        self._traffic = traffic
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._idle.append(self)

    def ask(self, request: bytes, began: float) -> None:
        assert self._transport is not None
        self._began = began
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        status = int(head[9:12])
        self._came = b""
        self._traffic.statuses[status] += 1
        (self._traffic.seconds if status == 200 else self._traffic.refused_seconds).append(time.perf_counter() - self._began)
        self._idle.append(self)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


async def send_at(address: str, requests: Sequence[bytes], *, rate: float | None, seconds: float, connections: int) -> Traffic:
    """Send these requests in turn over this many connections.

    At a rate, one that finds no connection idle waits, and its waiting counts. Without, the next one goes out when one was answered.
    """
    host, _, port = address.removeprefix("http://").partition(":")
    idle: deque[Line] = deque()
    traffic = Traffic()
    loop = asyncio.get_running_loop()
    lines = [(await loop.create_connection(lambda: Line(idle, traffic), host, int(port)))[1] for _ in range(connections)]
    began, sent = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        due = began + sent / rate if rate else time.perf_counter()
        now = time.perf_counter()
        if now < due or not idle:
            await asyncio.sleep(max(0.0005, due - now))
            continue
        idle.popleft().ask(requests[sent % len(requests)], due)
        sent += 1
    while len(idle) < len(lines) and time.perf_counter() < began + seconds + 20:
        await asyncio.sleep(0.01)
    for line in lines:
        line.close()
    return traffic

"""Traffic on a service for as long as something else is done to it, and what became of every request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import httpx

RECORD = {"text": "aucune réponse depuis trois mois"}


@dataclass
class Traffic:
    """What was answered.

    Attributes:
        statuses: How often each status came; 0 stands for a connection that broke.
        seconds: Time to answer of each request that was answered with 200.
        refused_seconds: As above, of those that were answered with 503.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    refused_seconds: list[float] = field(default_factory=list)

    async def ask(self, client: httpx.AsyncClient, record: Mapping[str, Any] = RECORD) -> int:
        """Send one record and count what becomes of it."""
        began = time.perf_counter()
        try:
            status = (await client.post("/classify", json=record)).status_code
        except httpx.TransportError:
            status = 0
        self.statuses[status] += 1
        if status in (200, 503):
            (self.seconds if status == 200 else self.refused_seconds).append(time.perf_counter() - began)
        return status

    @property
    def p99_ms(self) -> float:
        """99 of 100 answers took less."""
        return quantiles(self.seconds, n=100)[98] * 1_000


def connections(address: str, most: int, *, kept: bool = True) -> httpx.AsyncClient:
    """Return a client with at most this many connections; a new one for each request unless they are kept."""
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most if kept else 0)
    return httpx.AsyncClient(base_url=address, limits=limits, timeout=20.0)


@asynccontextmanager
async def steady(address: str, *, clients: int = 2, kept: bool = True, pause_s: float = 0.005) -> AsyncIterator[Traffic]:
    """Keep sending while the body runs; on leaving, the last answers have come."""
    traffic, ends = Traffic(), asyncio.Event()

    async def sending(client: httpx.AsyncClient) -> None:
        while not ends.is_set():
            await traffic.ask(client)
            await asyncio.sleep(pause_s)

    async with connections(address, clients, kept=kept) as client:
        tasks = [asyncio.create_task(sending(client)) for _ in range(clients)]
        try:
            yield traffic
        finally:
            ends.set()
            await asyncio.gather(*tasks)

"""The text of `/metrics`, rendered for everybody who asks at a time: a client that asks without a pause costs no other its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Metric, generate_latest

#: From the begin of one rendering to that of the next.
PAUSE_S: Final = 0.25


class MetricsText:
    """Renders at most every quarter of a second; whoever asks meanwhile gets the next text, which says nothing of an earlier moment.

    Args:
        render: Returns the text as it is when it is called.
    """

    def __init__(self, render: Callable[[], Awaitable[bytes]]) -> None:
        self._render = render
        self._next: asyncio.Task[bytes] | None = None
        self._running: asyncio.Task[bytes] | None = None
        self._began = float("-inf")

    async def current(self) -> bytes:
        """Return the text of this moment, or of one shortly after it."""
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._rendered())
        # A client that leaves takes nothing from the others.
        return await asyncio.shield(self._next)

    async def _rendered(self) -> bytes:
        loop = asyncio.get_running_loop()
        if self._running is not None and not self._running.done():
            await asyncio.wait({self._running})
        if (left_s := self._began + PAUSE_S - loop.time()) > 0:
            await asyncio.sleep(left_s)
        # From here on counts may be missing from the text, so that whoever asks now gets the next one.
        self._running, self._next, self._began = self._next, None, loop.time()
        return await self._render()


class _One(NamedTuple):
    """A collector of one metric."""

    metric: Metric

    def collect(self) -> Iterable[Metric]:
        return (self.metric,)


async def rendered_in_turns(registry: CollectorRegistry) -> bytes:
    """Return the text of a registry; other requests are answered between its metrics."""
    parts = []
    for metric in registry.collect():
        parts.append(generate_latest(_One(metric)))
        await asyncio.sleep(0)
    return b"".join(parts)

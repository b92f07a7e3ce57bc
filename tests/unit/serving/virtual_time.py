"""An event loop whose time passes only while it waits: a test of a timeout takes no time and does not depend on the machine."""

from __future__ import annotations

import asyncio
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where nothing is ready, it goes on at the moment of the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self.now

    @property
    def timers(self) -> int:
        """How many timers are set."""
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        return sum(not timer.cancelled() for timer in scheduled)

    def _run_once(self) -> None:
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and not self._stopping:  # type: ignore[attr-defined]
            assert scheduled, "everybody waits, and nothing is left that could happen"
            self.now = max(self.now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]

"""The service with a meter of its event loop's turns: `bentoml serve loadtests.attacks.metered:Classifier`.

The CPU time of a turn is the longest that an honest request waits for the work of others, whatever else the machine does meanwhile.
The loop never sleeps while it is metered, so that its latency is not the service's.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.responses import Receive, Scope, Send
from service import Classifier

#: A turn without work takes a few microseconds.
_WORK_NS = 20_000
_WRITE_NS = 100_000_000


class Meter:
    """Writes the CPU times of the last turns that did something, in microseconds, ten times a second.

    Args:
        path: Of the file, which is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns: list[float] = []
        self._before = time.thread_time_ns()
        self._written = time.monotonic_ns()
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        now = time.thread_time_ns()
        if now - self._before > _WORK_NS:
            self._turns.append((now - self._before) / 1_000)
        if self._turns and time.monotonic_ns() - self._written > _WRITE_NS:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self._turns) + "\n")
            self._turns.clear()
            self._written = time.monotonic_ns()
        self._before = time.thread_time_ns()
        self._loop.call_soon(self._turn)


_answer = ClassifyEndpoint.__call__


async def _metered(self: ClassifyEndpoint, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        Meter(Path(os.environ["METER_FILE"]))
    await _answer(self, scope, receive, send)


ClassifyEndpoint.__call__ = _metered  # type: ignore[method-assign]
__all__ = ["Classifier"]

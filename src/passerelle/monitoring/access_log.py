"""One JSON line for each request; it never contains a text of a record."""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import sys
import time

import orjson

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_FLUSH_S = 0.1
_MOST_LINES = 1_000


class AccessLog:
    """Writes lines to a file descriptor, stdout by default, without a logger in between: in batches, with a delay of at most 0.1 s."""

    def __init__(self, *, enabled: bool = True, descriptor: int | None = None) -> None:
        self._enabled = enabled
        self._descriptor = sys.stdout.fileno() if descriptor is None and enabled else descriptor
        self._lines: list[bytes] = []
        if enabled:
            atexit.register(self.flush)

    def write(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        *,
        request_id: str,
        traceparent: bytes | None = None,
        door: str | None = None,
    ) -> None:
        """Write a line; a closed pipe is no reason to fail."""
        if not self._enabled or self._descriptor is None:
            return
        match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
        line = {
            "time": time.time(),
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1_000, 3),
            "request_id": request_id,
        }
        if door is not None:
            line["door"] = door
        if match:
            line["trace_id"] = match[1].decode()
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= _MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        lines, self._lines = self._lines, []
        data = memoryview(b"".join(lines))
        try:
            while data and self._descriptor is not None:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._enabled = False

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
#: A client may send any token as its method.
_LONGEST_METHOD = 16


class AccessLog:
    """Writes lines to a file descriptor, stdout by default, without a logger in between: in batches, with a delay of at most 0.1 s."""

    def __init__(self, *, enabled: bool = True, descriptor: int | None = None) -> None:
        self._enabled = enabled
        self._descriptor = sys.stdout.fileno() if descriptor is None and enabled else descriptor
        self._lines: list[bytes] = []
        # Lines that could not be written, and whether the last one was written in part.
        self._lost, self._torn = 0, False
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
        """Write a line; a closed pipe or a full disk is no reason to fail."""
        if not self._enabled or self._descriptor is None:
            return
        match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
        line = {
            "time": time.time(),
            "method": method[:_LONGEST_METHOD],
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
        """Write what is waiting; what cannot be written is left out, and the next line that can be says how many lines those were."""
        lines, self._lines = self._lines, []
        if not lines or self._descriptor is None:
            return
        lost_line = [orjson.dumps({"time": time.time(), "lines_lost": self._lost}, option=orjson.OPT_APPEND_NEWLINE)] if self._lost else []
        # A disk that was full half-way through a line has no end of that line.
        data = memoryview(b"\n" * self._torn + b"".join([*lost_line, *lines]))
        rest = data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            written = bytes(data[: len(data) - len(rest)])
            self._torn = not written.endswith(b"\n") if written else self._torn
            complete = written.count(b"\n") - (1 if written.startswith(b"\n") else 0)
            if lost_line and complete > 0:
                self._lost, complete = 0, complete - 1
            self._lost += len(lines) - max(complete, 0)
        else:
            self._lost, self._torn = 0, False

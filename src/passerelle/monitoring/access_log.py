"""One JSON line an access: no text of a record, ever."""

from __future__ import annotations

import os
import re
import sys
import time

import orjson

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class AccessLog:
    """Writes lines to a file descriptor, stdout by default, without a logger in between."""

    def __init__(self, *, enabled: bool = True, descriptor: int | None = None) -> None:
        self._enabled = enabled
        self._descriptor = sys.stdout.fileno() if descriptor is None and enabled else descriptor

    def write(self, *, method: str, route: str, status: int, seconds: float, request_id: str, traceparent: bytes | None = None) -> None:
        """Write a line; a reader that went away is nobody's reason to fail."""
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
        if match:
            line["trace_id"] = match[1].decode()
        try:
            os.write(self._descriptor, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except OSError:
            self._enabled = False

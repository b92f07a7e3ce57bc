"""How a worker shuts down: its answers ask clients to close kept connections before it closes them."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from types import FrameType

from passerelle.serving.responses import Headers

#: How long answers say so. The connections of clients that send requests less often are idle, and are closed.
CLOSING_S = 1.0
#: Afterwards nobody can connect any more, and those that did are answered, before the server stops to accept.
UNREACHABLE_S = 0.25
_CLOSE = (b"connection", b"close")


class Drain:
    """After SIGTERM each answer closes its connection for a second; then the server ends as usual.

    A server closes idle connections when it ends. A request that is on its way at that moment fails at its client, which cannot know
    whether it was taken: RFC 9112, section 9.6.

    Attributes:
        headers: Of every answer; empty until SIGTERM, and where nobody asked in the second before it.
        last_request: When the last request came, by `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.headers: Headers = []
        self.last_request = float("-inf")

    def watch(self) -> None:
        """Wrap the server's own handler of SIGTERM; called in its event loop, after the handler was installed."""
        handler = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or not callable(handler):
            return
        loop = asyncio.get_running_loop()

        def begin(number: int, frame: FrameType | None) -> None:
            idle = time.perf_counter() - self.last_request > CLOSING_S
            if self.headers:
                return  # who told the whole group of processes, and the supervisor then, tells twice
            if idle:
                handler(number, frame)
                return
            self.headers = [_CLOSE]
            loop.call_soon_threadsafe(loop.call_later, CLOSING_S + UNREACHABLE_S, handler, number, None)

        signal.signal(signal.SIGTERM, begin)

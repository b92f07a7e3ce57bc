"""A proxy in front of MLflow that can be told to fail in the ways in which servers and networks fail."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """An answer on its way to the client.

    Attributes:
        announced: The content length that is sent; None for the body's own.
        half_way: Is called once half of the body was sent.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    announced: int | None = None
    half_way: Callable[[], None] | None = None


#: Takes the path and a function that asks MLflow; returns what the client gets, or None for a connection that is closed without a word.
Fault = Callable[[str, Callable[[], Answer]], Answer | None]


def closed(path: str, ask: Callable[[], Answer]) -> Answer | None:
    """Close each connection, as of a server that is gone."""
    return None


def answers(status: int, body: bytes = b"{}") -> Fault:
    """Return a fault that answers everything so."""
    return lambda _, __: Answer(status, body)


def only(part: str, fault: Fault) -> Fault:
    """Return a fault of the paths that hold this part; all else is answered by MLflow."""
    return lambda path, ask: fault(path, ask) if part in path else ask()


def truncated(path: str, ask: Callable[[], Answer]) -> Answer | None:
    """Break off half-way."""
    whole = ask()
    return Answer(whole.status, whole.body[: len(whole.body) // 2], whole.content_type, announced=len(whole.body))


def flipped(path: str, ask: Callable[[], Answer]) -> Answer | None:
    """Change a byte in the middle."""
    whole = ask()
    middle = len(whole.body) // 2
    return Answer(whole.status, whole.body[:middle] + bytes([whole.body[middle] ^ 1]) + whole.body[middle + 1 :], whole.content_type)


@dataclass
class Slow:
    """Answers after so many seconds, or as soon as the proxy is mended."""

    seconds: float
    mended: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _: str, ask: Callable[[], Answer]) -> Answer | None:
        self.mended.wait(self.seconds)
        return ask()


@dataclass
class Remembered:
    """Answers about the alias what MLflow answered first, as a cache that is stale does."""

    first: dict[str, Answer] = field(default_factory=dict)

    def __call__(self, path: str, ask: Callable[[], Answer]) -> Answer | None:
        if path not in self.first:
            self.first[path] = ask()
        return self.first[path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that give up are what the cases are about."""


class Proxy:
    """The proxy; without a fault it hands on what MLflow answers.

    Args:
        target: Address of MLflow.
    """

    def __init__(self, target: str) -> None:
        self.fault: Fault | None = None
        self.requests = 0
        parts = urlsplit(target)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one segment: else each answer waits 40 ms for the acknowledgement of its head.
            wbufsize = -1

            def do_GET(self) -> None:
                proxy.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request as the fault has it."""
        self.requests += 1
        fault, path = self.fault, handler.path

        def ask() -> Answer:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
            kept = {name: value for name, value in handler.headers.items() if name.lower() in ("authorization", "accept")}
            try:
                connection.request("GET", path, headers=kept)
                response = connection.getresponse()
                return Answer(response.status, response.read(), response.headers.get("content-type", ""))
            except (OSError, http.client.HTTPException):
                return Answer(502, b"{}")
            finally:
                connection.close()

        found = ask() if fault is None else fault(path, ask)
        if found is None:
            handler.close_connection = True
            return
        handler.send_response(found.status)
        handler.send_header("content-type", found.content_type)
        handler.send_header("content-length", str(len(found.body) if found.announced is None else found.announced))
        handler.end_headers()
        middle = len(found.body) // 2
        handler.wfile.write(found.body[:middle])
        if found.half_way is not None:
            found.half_way()
        handler.wfile.write(found.body[middle:])
        handler.close_connection = found.announced is not None or handler.close_connection

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """Run a proxy as long as the body runs."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()

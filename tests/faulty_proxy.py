"""A proxy before MLflow and S3, in a process of its own: it delays, fails or loses answers, and kills who asks at the n-th request."""

from __future__ import annotations

import ctypes
import http.client
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.sharedctypes import Synchronized
from typing import Any
from urllib.parse import urlsplit

_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Faults:
    """What happens to requests; shared with the process of the proxy.

    Attributes:
        seen: Requests so far.
        victim: Process that is killed; 0 for none.
        left: Requests until then; the request is carried out first where `answered` is set.
        failing: Share of requests that fail, and of answers that get lost.
        slow_ms: Longest delay of a request.
    """

    seen: Synchronized[int]
    victim: Synchronized[int]
    left: Synchronized[int]
    answered: Synchronized[int]
    failing: Synchronized[float]
    slow_ms: Synchronized[float]

    def calm(self) -> None:
        """Let requests through."""
        for each in (self.seen, self.victim, self.left, self.answered, self.failing, self.slow_ms):
            each.value = 0

    def counted(self) -> bool:
        """Count a request; return whether it is the one at which the victim dies."""
        with self.seen.get_lock():
            self.seen.value += 1
        if not self.victim.value:
            return False
        with self.left.get_lock():
            self.left.value -= 1
            return self.left.value == 0


def new_faults() -> Faults:
    whole, real = ctypes.c_int, ctypes.c_double
    seen, victim, left, answered = (_FORK.Value(whole) for _ in range(4))
    return Faults(seen, victim, left, answered, _FORK.Value(real), _FORK.Value(real))


@contextmanager
def proxied(upstream: str, faults: Faults) -> Iterator[str]:
    """Yield the address of a proxy before the upstream server."""
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_serve, args=(upstream, faults, sender), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}"
    finally:
        process.kill()
        process.join()


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on, for as long as nothing is to happen to them."""

    host: str
    faults: Faults
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        with suppress(ConnectionError, BrokenPipeError):
            super().handle_one_request()

    def _pass(self) -> None:
        body = self._body()
        dies = self.faults.counted()
        if dies and not self.faults.answered.value:
            return self._kill()
        time.sleep(random.uniform(0, self.faults.slow_ms.value) / 1_000)  # noqa: S311
        fate = random.random()  # noqa: S311
        if fate < self.faults.failing.value / 2:
            return self._lose()
        answer, content = _asked(self.host, self.command, self.path, dict(self.headers), body)
        if dies:
            return self._kill()
        if fate < self.faults.failing.value:
            return self._lose()
        # With the upstream's own date, by which the age of a lock is told.
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _pass  # noqa: N815

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.faults.victim.value, signal.SIGKILL)
        self.faults.victim.value = 0
        self._lose()

    def _lose(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(2)


def _serve(upstream: str, faults: Faults, sender: Any) -> None:
    handler = type("Handler", (_Handler,), {"host": urlsplit(upstream).netloc, "faults": faults})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=lambda: sender.send(server.server_address[1])).start()
    server.serve_forever()


def _asked(host: str, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    """Return the upstream's answer; the headers go as they came, since S3's signature covers the host."""
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        if name.lower() not in {"connection", "expect", "transfer-encoding"}:
            connection.putheader(name, value)
    if not any(name.lower() == "content-length" for name in headers) and body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content

"""Limits on incomplete request heads: their size, their time and their number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Protocol

from passerelle.serving.contract import RequestError
from passerelle.serving.responses import JSON, SECURITY, Headers, envelope

#: Called with the status and the request id of each refusal.
Refused = Callable[[int, str], None]
_LOOKS = 10
#: Connections of one worker that may be without a complete head at a time; the oldest is closed for a new one.
MOST_AWAITED = 1_024
MOST_HEADERS = 100
#: Headers that decide who asks and what; of two, the service and a proxy before it might each believe another.
GIVEN_ONCE = (b"host", b"authorization", b"content-type", b"content-encoding")
#: Of a body that was refused before its end; to close a connection whose client is still sending would lose it the answer.
MOST_UNWANTED_BYTES = 33_554_432

#: What a connection refuses before there is a request.
UNREADABLE = RequestError(400, "malformed_request", "the request is not HTTP/1.1")
NOT_ONCE = RequestError(
    400, "malformed_request", "Host is missing, or one of Host, Authorization, Content-Type and Content-Encoding is given twice"
)
CODED = RequestError(501, "unsupported_encoding", "send the body in chunks or with its length, without another transfer coding")
PIPELINED = RequestError(503, "overloaded", "too many requests at once", headers=((b"retry-after", b"1"),))
TOO_SLOW = RequestError(408, "head_too_slow", "the request line and the headers did not arrive in time")


def refusal_of(version: str, headers: Headers) -> RequestError | None:
    """Return the refusal of a head that a proxy before the service might read in another way; None for an unambiguous one.

    Args:
        version: Of HTTP.
        headers: Their names in lower case.
    """
    if version not in ("1.0", "1.1"):
        return UNREADABLE
    names = [name for name, _ in headers]
    if (version == "1.1" and b"host" not in names) or any(names.count(name) > 1 for name in GIVEN_ONCE):
        return NOT_ONCE
    if b"transfer-encoding" in names and dict(headers)[b"transfer-encoding"].rstrip(b" \t").lower() != b"chunked":
        return CODED
    return None


def answer_of(refusal: RequestError, request_id: str, server_headers: Headers) -> bytes:
    """Return the whole answer to a request that no application sees."""
    body = envelope(refusal, request_id)
    headers: Headers = [
        *server_headers, JSON, (b"x-request-id", request_id.encode()), *SECURITY, *refusal.headers,
        (b"connection", b"close"), (b"content-length", b"%d" % len(body)),
    ]  # fmt: skip
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (refusal.status, HTTPStatus(refusal.status).phrase.encode(), lines, body)


def rest_of_body(headers: Headers, body_bytes: int) -> int:
    """Return how much of a body is still to come, after so much of it; 0 where its length is not known."""
    given = dict(headers)
    if b"transfer-encoding" in given:
        return 0
    return int(given.get(b"content-length", b"0")) - body_bytes


@dataclass(frozen=True)
class HeadLimits:
    """The limits of a request head.

    Attributes:
        max_bytes: Size of the request line and the headers together; of a chunk's size line and of the trailers likewise.
        timeout_s: Longest wait for a head; kept to a tenth of itself.
        max_unwanted_bytes: Size of the rest of a body that comes after the answer.
        max_headers: Number of headers.
    """

    max_bytes: int
    timeout_s: float
    max_unwanted_bytes: int
    max_headers: int = MOST_HEADERS

    @cached_property
    def too_large(self) -> RequestError:
        """The refusal of a head over the limits."""
        message = f"the request line and the headers are larger than {self.max_bytes} bytes, or more than {self.max_headers} headers"
        return RequestError(431, "head_too_large", message)


class Awaiting(Protocol):
    """A connection that waits for a head."""

    def too_late(self) -> None:
        """End it."""


class AwaitedHeads:
    """The connections without a complete head, oldest first.

    One check of the oldest now and then costs less than a timer for each.

    Args:
        timeout_s: A connection that waits longer gets 408; accurate to a tenth of it.
        most: Most connections that may wait.
    """

    def __init__(self, timeout_s: float, most: int = MOST_AWAITED) -> None:
        self._timeout_s = timeout_s
        self._most = most
        self._began: dict[Any, float] = {}
        self._looking = False

    def begin(self, connection: Awaiting) -> None:
        """Count from now on, unless it is counted already."""
        if connection in self._began:
            return
        if len(self._began) >= self._most:
            self._end(next(iter(self._began)))
        loop = asyncio.get_running_loop()
        self._began[connection] = loop.time()
        if not self._looking:
            self._looking = True
            loop.call_later(self._timeout_s / _LOOKS, self._look)

    def end(self, connection: Awaiting) -> None:
        """Count no longer."""
        self._began.pop(connection, None)

    def _end(self, connection: Awaiting) -> None:
        self._began.pop(connection, None)
        connection.too_late()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._timeout_s
        for connection in [each for each, began in self._began.items() if began <= oldest]:
            self._end(connection)
        self._looking = bool(self._began)
        if self._looking:
            loop.call_later(self._timeout_s / _LOOKS, self._look)

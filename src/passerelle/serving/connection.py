"""One connection of a client: how long and how large the head of a request may be, and how its answer leaves."""

from __future__ import annotations

import os
import socket
from typing import Any, ClassVar

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from passerelle.serving.contract import RequestError
from passerelle.serving.drain import Drain
from passerelle.serving.heads import PIPELINED, TOO_SLOW, UNREADABLE, AwaitedHeads, HeadLimits, Refused, answer_of, refusal_of, rest_of_body
from passerelle.serving.protocol_offer import head_without_offer
from passerelle.serving.reading_turns import ReadingTurns, TurnFlow
from passerelle.serving.responses import OneWrite

#: Bytes that the parser gets at a time; it cannot be stopped in between. 228 requests of 18 bytes fit in.
_SLICE_BYTES = 4_096
#: Of a body whose length is known it gets more: there is nothing else in it, and each slice costs as much as 64 KiB.
_BODY_SLICE_BYTES = 65_536
#: Requests of one connection that may wait for the answer to an earlier one.
_MOST_PIPELINED = 64
#: A refused connection is closed after a while, and of what comes meanwhile so much is read: to close a socket that holds unread bytes
#: makes the kernel drop what the client has not read yet. A client that sends more than that has to wait.
_LINGER_S = 0.5
_DROPPED_BYTES = 16_384
#: From the end of the stream to the close.
_CLOSE_S = 0.05
#: When the worker ends, requests that are on their way are answered for so long, and those that come later are read before the close.
_LAST_REQUESTS_S = 0.05
#: The rest of a body that was answered before its end is read for so long: a client that is still sending reads its answer afterwards.
_READ_ON_S = 5.0
#: The answer to the largest batch is 350 KB and must be sent in one write. Linux with default settings grants 416 KiB of this.
_SEND_BUFFER_BYTES = 1_048_576


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits on what is not a body: request line, headers, chunk sizes and trailers.

    The bytes are counted from one event of the parser to the next, so that it costs nothing for each header. A head that follows
    another request in the same read may exceed the limit by `_SLICE_BYTES`.
    """

    limits: ClassVar[HeadLimits]
    heads: ClassVar[AwaitedHeads]
    turns: ClassVar[ReadingTurns]
    flow: TurnFlow
    refused: ClassVar[Refused]
    drain: ClassVar[Drain]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if isinstance(self.app, ProxyHeadersMiddleware):
            # It would believe X-Forwarded-For of everybody on loopback; which proxy is believed, a setting says.
            self.app = self.app.app
        self._in_head = True
        self._begun = False
        self._progressed = False
        self._pending_bytes = self._body_bytes = 0
        self._unwanted_bytes = 0
        self._dropped_bytes = 0
        self._reads_on = False
        self._ended = False
        self._ignores_upgrade = False
        self._refusal: RequestError | None = None
        self._writer: OneWrite | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self.flow = TurnFlow(transport)
        self._writer = OneWrite(transport, self._read_on)
        accepted = transport.get_extra_info("socket")
        if accepted is not None and accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.heads.begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.heads.end(self)
        self.turns.end(self.flow)
        super().connection_lost(exc)
        if self._writer is not None:
            self._writer.forget()

    def data_received(self, data: bytes) -> None:
        """Hand the bytes to the parser as far as the limits allow."""
        if self._refusal is not None:
            self._drop(len(data))
        if self._refusal is not None or self._ended:
            return
        self._unset_keepalive_if_required()
        size = len(data)
        if size <= _SLICE_BYTES and self._pending_bytes + size <= self.limits.max_bytes:
            self._parse(data, size)
        else:
            self._parse_slices(memoryview(data))
        if self._refusal is not None:
            self._drop(size)
        elif not self._in_head or self._begun or self._pending_bytes:
            self.turns.begin(self.flow)
            if self._in_head:
                self.heads.begin(self)
        else:
            self.turns.end(self.flow)

    def _parse_slices(self, data: memoryview) -> None:
        begin, goes_on = 0, True
        while goes_on and begin < len(data):
            most = min(_SLICE_BYTES, self.limits.max_bytes - self._pending_bytes)
            if not self._in_head:
                most = max(most, min(_BODY_SLICE_BYTES, rest_of_body(self.headers, self._body_bytes)))
            if most == 0:
                self._refuse(self.limits.too_large)
                return
            piece = data[begin : begin + most]
            goes_on = self._parse(piece, len(piece))
            begin += len(piece)

    def _parse(self, data: bytes | memoryview, size: int) -> bool:
        """Parse a slice; False when what follows it in this read is of no use."""
        self._progressed = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(UNREADABLE)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._ignores_upgrade:
                return False
            rest = bytes(data[upgrade.args[0] :])
            return self._parse(self._head_without_upgrade() + rest, len(rest))
        self._pending_bytes = 0 if self._progressed else self._pending_bytes + size
        if len(self.pipeline) > _MOST_PIPELINED:
            self._refuse(PIPELINED)
        elif not self._in_head and self.cycle.response_complete:
            # The rest of a body that is no longer read.
            self._unwanted_bytes += size
            if self._unwanted_bytes > self.limits.max_unwanted_bytes:
                self._end()
        return self._refusal is None and not self.transport.is_closing()

    def _head_without_upgrade(self) -> bytes:
        head = head_without_offer(self.parser, self.url, self.headers)
        self._ignores_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return head

    def _should_upgrade(self) -> bool:
        return False  # a web socket would be answered beside the access rules and the access log

    # Events of the parser
    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._begun = True
        self._body_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the answer."""
        self._progressed = True
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._ignores_upgrade = True
            return
        version = self.parser.get_http_version()
        too_many = len(self.headers) > self.limits.max_headers
        refusal = self.limits.too_large if too_many else refusal_of(version, self.headers)
        if refusal is not None:
            self._refuse(refusal)
            raise httptools.HttpParserError(refusal.message)
        self.expect_100_continue &= version != "1.0"
        super().on_headers_complete()
        # The parser adds trailers to this list: they must not become headers.
        self.headers = self.headers.copy()
        self._in_head = self._begun = False
        self.heads.end(self)

    def on_chunk_header(self) -> None:
        """Note that the size of a chunk is complete."""
        self._progressed = True

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._progressed = True
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete; the next head may begin."""
        self._progressed = True
        if self._ignores_upgrade:
            return
        self._in_head = True
        self._unwanted_bytes = 0
        super().on_message_complete()
        if self._reads_on:
            self.transport.close()
        elif self.cycle is not None and self.cycle.response_complete:
            self.heads.end(self)

    # Answers
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        assert self._writer is not None  # noqa: S101 - there is a connection
        self._writer.begin(cycle)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with the next request, or with the refusal of what followed this one."""
        last = not self.pipeline
        if self._writer is not None:
            self._writer.finish()
        super().on_response_complete()
        if self.transport.is_closing() or not last or self._reads_on:
            return
        if self._refusal is not None:
            self._send_refusal()
        elif not self._in_head:
            self.heads.begin(self)

    def _read_on(self) -> bool:
        """Return whether the connection stays open because the body of the request that was just answered has not all arrived."""
        self._reads_on = not self._in_head and self._refusal is None
        if self._reads_on:
            self.loop.call_later(_READ_ON_S, self._end)
            self.flow.resume_reading()
        return self._reads_on

    def shutdown(self) -> None:
        """Close the connection when the worker ends, after the request that is being answered or on its way.

        To close a socket that holds an unread request would reset the connection: RFC 9112, section 9.6.
        """
        if self.drain.headers and self._is_idle() and not self.transport.is_closing():
            self.loop.call_later(_LAST_REQUESTS_S, self._end_idle)
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        return self._refusal is None and self._in_head and (self.cycle is None or self.cycle.response_complete)

    def _end_idle(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self._ended = True
            self.heads.end(self)
            self.transport.write_eof()
            self.loop.call_later(_LINGER_S, self.transport.close)

    def too_late(self) -> None:
        """Close a connection whose next head is not complete in time; without an answer if nothing of it was sent."""
        if self._in_head and (self._begun or self._pending_bytes):
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, refusal: RequestError) -> None:
        """Refuse the unreadable request after the earlier ones are answered, then close the connection."""
        if self._refusal is not None:
            return
        self._refusal = refusal
        self.heads.end(self)
        self.turns.end(self.flow)
        cycle = self.cycle
        if cycle is None or (self._in_head and cycle.response_complete):
            self._send_refusal()
        elif not self._in_head and self.pipeline:
            # The body of a request that is not being answered yet.
            self.pipeline.popleft()
        elif not self._in_head and cycle.response_started:
            self.transport.close()
        elif not self._in_head:
            cycle.disconnected = True
            # Else the word to go on would follow the refusal.
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
            self._send_refusal()

    def _send_refusal(self) -> None:
        refusal = self._refusal
        assert refusal is not None  # noqa: S101 - there is one
        request_id = os.urandom(8).hex()
        self.transport.write(answer_of(refusal, request_id, self.server_state.default_headers))
        type(self).refused(refusal.status, request_id)
        self._unset_keepalive_if_required()
        self.loop.call_later(_LINGER_S, self._end)

    def _end(self) -> None:
        """Send the end of the stream, then close: a client that has the end keeps the answer, whatever of its own is left unread."""
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.pause_reading()
        self.loop.call_later(_CLOSE_S, self.transport.abort)

    def _drop(self, size: int) -> None:
        self._dropped_bytes += size
        if self._dropped_bytes > _DROPPED_BYTES and not self.transport.is_closing():
            self.flow.pause_reading()

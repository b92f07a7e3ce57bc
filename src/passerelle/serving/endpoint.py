"""The short way of a request: one ASGI class owns /classify and the whole contract, and hands other paths on."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from passerelle.monitoring.access_log import AccessLog
from passerelle.monitoring.metrics import CONTENT_TYPE
from passerelle.serving.contract import Refusal
from passerelle.serving.runtime import Runtime

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
_FIXED: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_MEDIA_TYPES = (b"application/json",)
_POSTED = frozenset({"/classify", "/classify/batch"})
_READ = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
_OPEN = frozenset({"/livez", "/readyz", "/healthz"})
_CARD = "/model"


class ClientLeft(Exception):  # noqa: N818 - nobody is there to be told
    """The client closed the connection before its request was complete."""


class ClassifyEndpoint:
    """Answers what the contract covers; `app` gets the rest.

    Args:
        app: The application behind.
        runtime: The model and its contract.
        passes: Paths, or their beginnings when they end in `/`, that the application behind may answer.
        access_log: Gets a line a request.
    """

    def __init__(self, app: App, *, runtime: Runtime, passes: tuple[str, ...] = (), access_log: AccessLog | None = None) -> None:
        # Only a worker has an endpoint; the process that starts the workers does without the rate limits' library.
        from passerelle.serving.access import AccessControl  # noqa: PLC0415

        self._app = app
        self._runtime = runtime
        self._passes = frozenset(passes)
        self._folders = tuple(begin for begin in passes if begin.endswith("/") and len(begin) > 1)
        self._log = access_log or AccessLog(enabled=runtime.settings.access_log)
        self._access = AccessControl(runtime.settings)
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in _POSTED or path in _READ:
            await self._answer(path, scope, receive, send)
        elif (path in self._passes or path.startswith(self._folders)) and not (path == _CARD and self._is_refused(scope)):
            await self._app(scope, receive, with_headers(send))
        else:
            await self._answer(path if path == _CARD else "unknown", scope, receive, send)

    def _is_refused(self, scope: Scope) -> bool:
        try:
            self._access.admit(scope.get("server"), dict(scope["headers"]))
        except Refusal:
            return True
        return False

    async def _answer(self, route: str, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        metrics = self._runtime.metrics
        self._in_flight += 1
        metrics.in_flight.inc()
        status, extra, kind = 200, _FIXED, JSON
        try:
            extra = self._admitted(route, scope, headers)
            body, kind = await self._respond(route, scope["method"], headers, receive)
            if route == "/readyz" and self._runtime.model is None:
                status = 503
        except Refusal as refusal:
            status, extra = refusal.status, [*_FIXED, *refusal.headers]
            body = envelope(refusal, request_id)
        except ClientLeft:
            metrics.answered(route, 499, time.perf_counter() - began)
            return
        except Exception as error:  # noqa: BLE001 - the boundary: a client never sees what went wrong inside, and the log no text
            status = 500
            body = envelope(
                Refusal(500, "internal", "the service could not answer; the operator finds the cause by the request id"), request_id
            )
            print(f"request {request_id} failed: {type(error).__name__} in {_place(error)}", file=sys.stderr)  # noqa: T201
        finally:
            self._in_flight -= 1
            metrics.in_flight.dec()
        await respond(send, status, body, [kind, (b"x-request-id", request_id.encode()), *extra])
        seconds = time.perf_counter() - began
        metrics.answered(route, status, seconds)
        self._log.write(
            method=scope["method"],
            route=route,
            status=status,
            seconds=seconds,
            request_id=request_id,
            traceparent=headers.get(b"traceparent"),
        )

    def _admitted(self, route: str, scope: Scope, headers: dict[bytes, bytes]) -> Headers:
        """Return the headers of an answer to this client.

        Raises:
            Refusal: The client may not ask.
        """
        if route in _OPEN or (route == "/metrics" and self._runtime.settings.metrics_public):
            return _FIXED
        _, told = self._access.admit(scope.get("server"), headers)
        return [*_FIXED, *told] if told else _FIXED

    async def _respond(self, route: str, method: str, headers: dict[bytes, bytes], receive: Receive) -> tuple[bytes, tuple[bytes, bytes]]:
        """Return the body of a good answer and its media type.

        Raises:
            Refusal: The request is not acceptable.
        """
        runtime = self._runtime
        if route in _POSTED:
            if method != "POST":
                raise Refusal(405, "wrong_method", "only POST is answered here", headers=((b"allow", b"POST"),))
            check_media_type(headers)
            if self._in_flight > runtime.settings.max_in_flight:
                raise Refusal(503, "overloaded", "too many requests at once", headers=((b"retry-after", b"1"),))
            body = await read_body(headers, receive, runtime.settings.max_body_bytes, runtime.settings.body_timeout_s)
            return await self._classified(route, body), JSON
        if route not in _READ:
            raise Refusal(404, "not_found", "there is nothing at this path; /docs shows what there is")
        if method not in ("GET", "HEAD"):
            raise Refusal(405, "wrong_method", "only GET is answered here", headers=((b"allow", b"GET"),))
        if route == "/metrics":
            return runtime.metrics.render(), (b"content-type", CONTENT_TYPE.encode())
        if route == "/readyz":
            model = runtime.model
            return orjson.dumps({"ready": model is not None, "model_version": model.version if model else None}), JSON
        return b'{"live":true}', JSON

    async def _classified(self, route: str, body: bytes) -> bytes:
        runtime = self._runtime
        try:
            async with asyncio.timeout(runtime.settings.model_timeout_s):
                if route == "/classify":
                    return orjson.dumps(await runtime.classify(runtime.contract.read_record(body)))
                return orjson.dumps(await runtime.classify_batch(runtime.contract.read_batch(body)))
        except TimeoutError:
            raise Refusal(504, "too_slow", "the model did not answer in time") from None


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """Return the client's own request id where it is short and plain, else a new one."""
    given = headers.get(b"x-request-id", b"")
    if 0 < len(given) <= 64 and given.replace(b"-", b"").replace(b"_", b"").isalnum():  # noqa: PLR2004 - a UUID has 36
        return given.decode("ascii")
    return os.urandom(8).hex()


def check_media_type(headers: dict[bytes, bytes]) -> None:
    """Refuse what is not said to be JSON.

    Raises:
        Refusal: 415.
    """
    given = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if given not in _MEDIA_TYPES:
        raise Refusal(415, "unsupported_media_type", "send application/json")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refusal(415, "unsupported_encoding", "send the body without a content encoding")


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit_bytes: int, timeout_s: float) -> bytes:
    """Return the body.

    Raises:
        Refusal: 413 as soon as it is known to be over the limit, 408 when it does not come in time.
        ClientLeft: The client closed the connection.
    """
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > 18 or int(declared) > limit_bytes:  # noqa: PLR2004 - more digits than a size has
        raise too_large(limit_bytes)
    chunks: list[bytes] = []
    size_bytes = 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                chunk = message.get("body", b"")
                size_bytes += len(chunk)
                if size_bytes > limit_bytes:
                    raise too_large(limit_bytes)
                if not message.get("more_body", False):
                    return chunk if not chunks else b"".join([*chunks, chunk])
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(408, "body_too_slow", "the body did not arrive in time", headers=((b"connection", b"close"),)) from None


def too_large(limit_bytes: int) -> Refusal:
    """Return the refusal of a body over the limit; the connection is closed, so that the rest is not read."""
    return Refusal(413, "body_too_large", f"the body is larger than {limit_bytes} bytes", headers=((b"connection", b"close"),))


def envelope(refusal: Refusal, request_id: str) -> bytes:
    """Return the one error envelope."""
    content: dict[str, Any] = {"code": refusal.code, "message": refusal.message, "request_id": request_id}
    if refusal.field is not None:
        content["field"] = refusal.field
    return orjson.dumps(content)


def with_headers(send: Send) -> Send:
    """Return a `send` that adds the security headers to what the application behind answers."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_FIXED]
        await send(message)

    return sending


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer in two messages."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "nowhere"

"""How an answer is sent: headers, media types and the one error envelope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from passerelle.serving.contract import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]


def envelope(refusal: Refusal, request_id: str) -> bytes:
    """Return the one error envelope."""
    content: dict[str, Any] = {"code": refusal.code, "message": refusal.message, "request_id": request_id}
    if refusal.field is not None:
        content["field"] = refusal.field
    return orjson.dumps(content)


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer in two messages."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_REFUSALS = {
    404: ("not_found", "there is nothing at this path; /docs shows what there is"),
    405: ("wrong_method", "this path is asked with another method"),
}


class Enveloped:
    """A `send` for an application behind: adds the security headers and the request id, and puts its refusals into the envelope.

    Attributes:
        status: Of the answer, once it began.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._replaced = False
        self.status = 500

    async def __call__(self, message: Message) -> None:
        """Send one message on."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._replaced:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        self.status = int(message["status"])
        identity = (b"x-request-id", self._request_id.encode())
        if self.status < 400:  # noqa: PLR2004 - where HTTP's errors begin
            message["headers"] = [*message.get("headers", []), identity, *SECURITY]
            await self._send(message)
            return
        self._replaced = True
        code, text = _REFUSALS.get(
            self.status, ("internal", "the service could not answer; the operator finds the cause by the request id")
        )
        allowed = [(name, value) for name, value in message.get("headers", []) if name.lower() == b"allow"]
        body = envelope(Refusal(self.status, code, text), self._request_id)
        await respond(self._send, self.status, body, [JSON, identity, *allowed, *SECURITY])

"""The documents of the contract are made once for each model, and are those that the application would give."""

from __future__ import annotations

import asyncio
from typing import Any

from passerelle.serving.documents import Documents
from passerelle.serving.responses import Message, Receive, Scope, Send


class Model:
    """Stands for a model that is loaded."""


class Application:
    """Counts what it makes; answers with what it was told last."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.status = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self.made.append(scope["path"])
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"%02d" % len(self.made)})


def asked(documents: Documents, path: str, model: Any) -> list[Message]:
    came: list[Message] = []

    async def send(message: Message) -> None:
        came.append(dict(message))
        # As the endpoint does with an answer on its way.
        message["headers"] = [*message.get("headers", []), (b"x-request-id", b"1")]

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    asyncio.run(documents.answer(model, {"path": path}, receive, send))
    return came


def test_a_document_is_made_once_for_each_model() -> None:
    application, first, second = Application(), Model(), Model()
    documents = Documents(application)
    answers = [asked(documents, "/openapi.json", first) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0]["headers"] == [(b"content-length", b"2")]
    assert asked(documents, "/schema.json", first) != answers[0]
    assert asked(documents, "/openapi.json", second) != answers[0]
    assert application.made == ["/openapi.json", "/schema.json", "/openapi.json"]


def test_a_failure_is_not_kept() -> None:
    application = Application()
    documents = Documents(application)
    application.status = 500
    assert asked(documents, "/docs.json", None)[0]["status"] == 500
    application.status = 200
    assert asked(documents, "/docs.json", None)[0]["status"] == 200

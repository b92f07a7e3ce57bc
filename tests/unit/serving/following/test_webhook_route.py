"""POST /follow/webhook: opened by the signature alone, and deaf where no secret is set."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from passerelle.model.mlmodel import ModelDescription
from passerelle.model.record import Column
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.following import webhook
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.following.deliveries import BODY, SECRET, signed

PATH = "/follow/webhook"


class Service:
    """The endpoint of a service that notes each poll it is asked for."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        description = ModelDescription("", (Column("text", "string"),), {}, {}, None)
        self.runtime = Runtime(folder, ServiceSettings.read(access_log=False, **settings), description=description)
        self.runtime.poll_now = self.poll
        self.polls = 0
        self.app = ClassifyEndpoint(self._never, runtime=self.runtime)

    def poll(self) -> None:
        self.polls += 1

    async def _never(self, *_: Any) -> None:
        raise AssertionError("nothing is handed on")

    def ask(self, headers: dict[bytes, bytes], body: Any = BODY, method: str = "POST") -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://10.0.0.7") as client:
                return await client.request(method, PATH, content=body, headers=list(headers.items()))

        return asyncio.run(go())


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "webhook_secret"
    path.write_bytes(SECRET + b"\n")
    monkeypatch.setenv("PASSERELLE_FOLLOW_WEBHOOK_SECRET_FILE", str(path))
    return path


def now(apart_s: int = 0) -> str:
    return str(int(time.time()) + apart_s)


def test_a_delivery_lets_the_registry_be_polled_once_and_needs_no_api_key(tmp_path: Path, secret: Path) -> None:
    service = Service(tmp_path, auth="required", rate_limit="1/hour")
    for number in (1, 2):
        answer = service.ask(signed(now()))
        assert (answer.status_code, answer.json(), service.polls) == (202, {"accepted": True}, number)
    captured = signed(now())
    assert [service.ask(captured).status_code for _ in range(3)] == [202, 409, 409]
    assert service.polls == 3


def test_whatever_is_not_genuine_polls_nothing(tmp_path: Path, secret: Path) -> None:
    service = Service(tmp_path)
    for headers, body, status, code in (
        (signed(now(), secret=b"another-secret-of-this-length"), BODY, 401, "unauthorized"),
        (signed(now()), BODY + b" ", 401, "unauthorized"),
        (signed(now(-400)), BODY, 401, "stale"),
        (signed(now(400)), BODY, 401, "stale"),
        ({b"content-type": b"application/json"}, BODY, 400, "malformed_webhook"),
        (signed(now()) | {b"content-type": b"text/plain"}, BODY, 415, "unsupported_media_type"),
        (signed(now(), b"{}"), b"{}", 400, "malformed_webhook"),
        (signed(now(), b" " * 65_537), b" " * 65_537, 413, "body_too_large"),
    ):
        answer = service.ask(headers, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert SECRET.decode() not in answer.text
    assert service.ask(signed(now()), method="GET").status_code == 405
    assert service.polls == 0


def test_a_flood_and_a_huge_body_are_refused_before_they_are_read(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "WINDOW_S", 3_600.0)
    service = Service(tmp_path)
    read = 0

    async def ask(headers: dict[bytes, bytes]) -> int:
        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b"x" * 1_000, "more_body": False}

        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(dict(message))

        scope = {"type": "http", "method": "POST", "path": PATH, "server": ("10.0.0.7", 3000), "headers": list(headers.items())}
        await service.app(scope, receive, send)
        return int(sent[0]["status"])

    async def flood() -> list[int]:
        return [await ask(signed(now())) for _ in range(3 * webhook.MOST_CHECKED)]

    assert asyncio.run(ask(signed(now()) | {b"content-length": b"65537"})) == 413
    assert read == 0
    answered = asyncio.run(flood())
    most = webhook.MOST_CHECKED - 1  # one was the huge body's
    assert answered == [401] * most + [429] * (len(answered) - most)
    assert read == most
    assert service.polls == 0


def test_without_a_secret_there_is_no_such_path(tmp_path: Path) -> None:
    service = Service(tmp_path)
    answer = service.ask(signed(now()))
    assert (answer.status_code, answer.json()["code"], service.polls) == (404, "not_found", 0)


def test_a_service_that_does_not_poll_yet_lets_mlflow_try_again(tmp_path: Path, secret: Path) -> None:
    service = Service(tmp_path)
    service.runtime.poll_now = None
    delivery = signed(now())
    answer = service.ask(delivery)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    service.runtime.poll_now = service.poll
    assert service.ask(delivery).status_code == 202

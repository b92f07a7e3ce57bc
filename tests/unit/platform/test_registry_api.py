from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from passerelle.platform.registry_api import RegistryApi


def flask(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    sent = environ["wsgi.input"].read()
    start_response("201 CREATED", [("Content-Type", "text/plain"), ("X-Query", environ["QUERY_STRING"])])
    return iter((b"flask ", environ["REQUEST_METHOD"].encode(), b" ", environ["PATH_INFO"].encode(), b" ", sent))


async def whole(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "all layers", "of": scope.get("path", scope["type"])})


def asked(
    path: str, *parts: bytes, kind: str = "http", headers: list[tuple[bytes, bytes]] | None = None, disconnects: bool = False
) -> list[dict[str, Any]]:
    """Return what the application sends for a request whose body comes in these parts."""
    messages = [
        {"type": "http.request", "body": part, "more_body": disconnects or place + 1 < len(parts)} for place, part in enumerate(parts)
    ]
    waiting: Iterator[dict[str, Any]] = iter([*messages, {"type": "http.disconnect"}])
    sent: list[dict[str, Any]] = []
    scope = {"type": kind, "path": path, "method": "POST", "query_string": b"a=b", "headers": headers or [], "http_version": "1.1"}
    scope["server"] = ("127.0.0.1", 1)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(RegistryApi(flask, whole)(scope, receive, send))  # type: ignore[arg-type]
    return sent


def test_the_rest_api_is_answered_by_flask_alone() -> None:
    start, body = asked("/api/2.0/mlflow/runs/create", b"one ", b"two")
    assert (start["status"], start["headers"]) == (201, [(b"content-type", b"text/plain"), (b"x-query", b"a=b")])
    assert body == {"type": "http.response.body", "body": b"flask POST /api/2.0/mlflow/runs/create one two"}


def test_everything_else_goes_through_all_layers() -> None:
    for path in (
        "/health",
        "/v1/traces",
        "/api/2.0/mlflow-artifacts/artifacts/x",
        "/api/3.0/mlflow/traces",
        "/ajax-api/2.0/mlflow/runs/get",
        "/",
    ):
        assert asked(path, b"") == [{"type": "all layers", "of": path}]
    of_workspace = asked("/api/2.0/mlflow/x", b"", headers=[(b"x-mlflow-workspace", b"a")])
    assert of_workspace == asked("/api/2.0/mlflow/x", kind="websocket") == [{"type": "all layers", "of": "/api/2.0/mlflow/x"}]


def test_a_client_that_is_gone_before_its_body_is_whole_asks_nothing() -> None:
    assert asked("/api/2.0/mlflow/runs/create", b"half", disconnects=True) == []

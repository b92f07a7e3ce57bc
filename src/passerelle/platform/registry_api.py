"""MLflow's REST API without the layers around it: what runs and versions are asked by, straight to MLflow's Flask application.

MLflow's server is a FastAPI application around the Flask one. Its middleware and its adapter start several tasks for each request, which
takes a quarter of the processor time of an answer. The Flask application checks hosts and origins itself, as it does under gunicorn;
whatever FastAPI answers (traces, the gateway, artifacts that are streamed), the pages, and requests that name a workspace go through all
layers as before.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from starlette.middleware.wsgi import build_environ

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: FastAPI has no route below it; a test asks MLflow.
PREFIX = "/api/2.0/mlflow/"
_WORKSPACE = b"x-mlflow-workspace"
#: As many as MLflow's own adapter has.
_THREADS = 40
_Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class RegistryApi:
    """An ASGI application that answers the REST API from the WSGI application, and all else from the ASGI one.

    Args:
        wsgi: MLflow's Flask application.
        whole: MLflow's FastAPI application.
    """

    def __init__(self, wsgi: Callable[..., Iterable[bytes]], whole: ASGIApp) -> None:
        self._wsgi = wsgi
        self._whole = whole
        self._threads = ThreadPoolExecutor(_THREADS, "mlflow")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or any(name == _WORKSPACE for name, _ in scope["headers"]):
            await self._whole(scope, receive, send)
            return
        chunks, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        environ = build_environ(scope, b"".join(chunks))
        status, headers, body = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, environ)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, environ: Mapping[str, Any]) -> _Answer:
        started: list[tuple[int, list[tuple[bytes, bytes]]]] = []
        written = io.BytesIO()

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], int]:
            started[:] = [(int(status[:3]), [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers])]
            return written.write

        found = self._wsgi(environ, start_response)
        try:
            for part in found:
                written.write(part)
        finally:
            if (close := getattr(found, "close", None)) is not None:
                close()
        return *started[0], written.getvalue()

"""A service in this process that answers the foreign protocols, and what it is asked."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings

ALL_DOORS = "v1,v2,invocations"
#: Stands in what is sent as a value; no refusal may hold it.
SECRET = "monsecretadressé"
INFER, PREDICT, INVOKE = "/v2/models/test/infer", "/v1/models/test:predict", "/invocations"
CAPTURED = Path(__file__).parents[3] / "data" / "client_requests.jsonl"


@dataclass
class Service:
    """The application in this process."""

    app: ClassifyEndpoint
    runtime: Runtime

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to one request."""

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **options)

        return asyncio.run(go())

    def post(self, path: str, content: Any, **headers: str) -> httpx.Response:
        """Return the answer to a body: bytes as they are, anything else as JSON."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path, content=body, headers={"content-type": "application/json"} | given)


def service_of(folder: Path, **settings: Any) -> Service:
    """Return the service over a bento model, loaded."""
    runtime = Runtime(folder, ServiceSettings.read(**{"access_log": False, "doors": ALL_DOORS, "max_records": 5} | settings))
    runtime.load()
    return Service(ClassifyEndpoint(build_app(runtime), runtime=runtime), runtime)


def captured() -> list[dict[str, Any]]:
    """Return what the real clients sent, with the body as bytes."""
    requests = [json.loads(line) for line in CAPTURED.read_text().splitlines()]
    return [each | {"body": base64.b64decode(each["body"])} for each in requests]


def tensor(data: Any, **other: Any) -> dict[str, Any]:
    """Return the one input of the text model."""
    return {"name": "text", "shape": [len(data) if isinstance(data, list) else 1], "datatype": "BYTES", "data": data} | other


def binary(inputs: Sequence[dict[str, Any]], data: bytes, length: str | None = None, **other: Any) -> tuple[bytes, dict[str, str]]:
    """Return the body of a binary request, and its headers."""
    head = json.dumps({"inputs": list(inputs)} | other).encode()
    return head + data, {"inference_header_content_length": str(len(head)) if length is None else length}


def texts(*words: str) -> bytes:
    """Return texts as a binary tensor."""
    return b"".join(struct.pack("<I", len(word.encode())) + word.encode() for word in words)

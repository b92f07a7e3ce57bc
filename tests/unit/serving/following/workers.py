"""Workers of a service that follows, in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.following.start import load_and_follow
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.following.registry_double import RegistryDouble


class Worker:
    """A worker of a service whose bento holds version 1."""

    def __init__(self, registry: RegistryDouble, bento: Path, folder: Path, **given: Any) -> None:
        self.runtime = Runtime(bento, ServiceSettings.read({}, access_log=False))
        settings = registry.settings(folder, follow_interval_s=0.1, follow_start_s=30.0).model_copy(update=given)
        load_and_follow(self.runtime, settings)
        self.app = ClassifyEndpoint(build_app(self.runtime), runtime=self.runtime)

    def ask(self, path: str = "/classify", method: str = "POST", **headers: str) -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://127.0.0.1") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                body = {"json": {"text": "merci"}} if method == "POST" else {}
                return await client.request(method, path, headers=named, **body)  # type: ignore[arg-type]

        return asyncio.run(go())

    @property
    def version(self) -> str:
        return str(self.runtime.ready().version)

    def stop(self) -> None:
        for runtime in (self.runtime, *self.runtime.others.values()):
            if runtime.following is not None:
                runtime.following.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)

"""Access: a key is required away from loopback, and each key has a rate limit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from passerelle.api_keys import make_key
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_bento_model(tmp_path_factory.mktemp("model") / "test")


def service(folder: Path, **settings: Any) -> ClassifyEndpoint:
    runtime = Runtime(folder, ServiceSettings.read(access_log=False, **settings))
    runtime.load()
    return ClassifyEndpoint(build_app(runtime), runtime=runtime)


def ask(app: ClassifyEndpoint, path: str = "/classify", *, host: str = "10.0.0.7", key: str | None = None) -> httpx.Response:
    async def go() -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=f"http://{host}:3000", headers=headers) as client:
            return await (client.post(path, json={"text": "merci"}) if path.startswith("/classify") else client.get(path))

    return asyncio.run(go())


def test_loopback_needs_no_key_and_other_addresses_do(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = make_key(path, "agents")
    app = service(folder, keys_file=path)
    assert ask(app, host="127.0.0.1").status_code == 200
    refused = ask(app)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert ask(app, key=made.token).status_code == 200
    assert ask(app, key=made.token[:-1] + "x").status_code == 401
    assert ask(app, key="nonsense").status_code == 401


@pytest.mark.parametrize(("mode", "host", "status"), [("required", "127.0.0.1", 401), ("off", "10.0.0.7", 200)])
def test_it_can_be_required_everywhere_or_switched_off(folder: Path, tmp_path: Path, mode: str, host: str, status: int) -> None:
    assert ask(service(folder, keys_file=tmp_path / "none.json", auth=mode), host=host).status_code == status


def test_health_is_open_and_metrics_and_card_are_not(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = make_key(path, "prometheus")
    app = service(folder, keys_file=path)
    assert [ask(app, route).status_code for route in ("/livez", "/readyz")] == [200, 200]
    assert [ask(app, route).status_code for route in ("/metrics", "/model")] == [401, 401]
    assert [ask(app, route, key=made.token).status_code for route in ("/metrics", "/model")] == [200, 200]
    assert ask(service(folder, keys_file=path, metrics_public=True), "/metrics").status_code == 200


def test_each_key_has_a_limit_of_its_own_and_is_told(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first, second = make_key(path, "first"), make_key(path, "second")
    app = service(folder, keys_file=path, rate_limit="3/minute")
    answers = [ask(app, key=first.token) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert answers[3].json()["code"] == "rate_limited"
    assert 0 < int(answers[3].headers["retry-after"]) <= 60
    assert ask(app, key=second.token).status_code == 200


def test_pages_carry_security_headers_and_nothing_opens_other_origins(folder: Path) -> None:
    app = service(folder)
    for route in ("/docs", "/model", "/classify", "/livez"):
        answer = ask(app, route, host="127.0.0.1")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert not [name for name in answer.headers if name.startswith("access-control")]

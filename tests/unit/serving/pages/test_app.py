"""The pages for people, asked in this process."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from passerelle.serving.contract import RequestError
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages import app, mount
from passerelle.serving.pages.app import build_app
from passerelle.serving.pages.model_card import model_card
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model


def client(**runtime: Any) -> TestClient:
    return TestClient(build_app(cast("Runtime", SimpleNamespace(**runtime))))


@pytest.mark.parametrize(("path", "part"), [("/", '<form class="card" id="form">'), ("/docs", '<div id="swagger-ui">')])
def test_the_title_of_a_page_is_the_models(path: str, part: str) -> None:
    answer = client(registered_model="<b>1</b>", model=None).get(path)
    assert answer.status_code == 200
    assert part in answer.text
    assert "<title>&lt;b&gt;1&lt;/b&gt; · passerelle</title>" in answer.text
    assert "<b>1" not in answer.text


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_browser_runs_the_scripts_of_the_page_and_no_other(path: str) -> None:
    answer = client(registered_model="<script>alert(1)</script>", model=None).get(path)
    policy = answer.headers["content-security-policy"]
    parts = {name: sources for name, _, sources in (each.strip().partition(" ") for each in policy.split(";"))}
    assert parts["default-src"] == parts["form-action"] == parts["frame-ancestors"] == parts["base-uri"] == "'none'"
    assert "unsafe" not in policy
    inline = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digests = [b64encode(sha256(each.encode()).digest()).decode() for each in inline]
    assert parts["script-src"].split() == ["'self'", *(f"'sha256-{each}'" for each in digests)]
    assert len(digests) == 1


def test_the_card_is_answered_and_a_refusal_has_the_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "model_card", lambda runtime: {"version": runtime.version})
    assert client(version="7").get("/model").json() == {"version": "7"}
    monkeypatch.undo()

    def refused() -> None:
        raise RequestError(503, "not_ready", "the model is not loaded yet")

    answer = client(ready=refused).get("/model")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")


def test_a_browser_that_asks_for_the_card_gets_the_page_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "model_card", lambda runtime: {"version": runtime.version})
    pages = client(version="7", registered_model="m", model=None)
    sent = pages.get("/model", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"], sent.headers["vary"]) == (303, "./#card", "Accept")
    page = pages.get("/").text
    assert '<a href="#card"' in page
    assert '<section id="model"' in page
    for accept in ("*/*", "application/json"):
        assert pages.get("/model", headers={"accept": accept}).json() == {"version": "7"}


def test_the_page_is_titled_by_model_and_version_and_grouped(tmp_path: Path) -> None:
    runtime = Runtime(text_bento_model(tmp_path / "test"), ServiceSettings.read())
    runtime.load()
    assert runtime.model is not None
    pages = TestClient(ClassifyEndpoint(build_app(runtime), runtime=runtime))
    document = pages.get("/openapi.json").json()
    assert document["info"]["title"] == f"{runtime.registered_model}, version {runtime.model.version}"
    assert ", ".join(f"`{each}`" for each in runtime.model.labels) in document["info"]["description"]
    groups = {path: next(iter(methods.values()))["tags"] for path, methods in document["paths"].items()}
    assert groups["/classify"] == groups["/classify/batch"] == ["answers"]
    assert {tag for tags in groups.values() for tag in tags} <= {tag["name"] for tag in document["tags"]}
    assert f"<title>{runtime.registered_model}, version 7 · passerelle</title>" in pages.get("/docs").text
    named = set(re.findall(r'(\w+): \["[^"]+", "[^"]+"\]', pages.get("/").text))
    assert set(model_card(runtime)) <= named


def test_pages_that_could_not_be_made_are_made_at_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter([OSError(24, "Too many open files")])

    def build(_: Runtime) -> Any:
        for error in made:
            raise error
        return build_app(cast("Runtime", SimpleNamespace(registered_model="m", model=None)))

    monkeypatch.setattr(mount, "_application", build)
    pages = TestClient(mount.PeoplesPages(cast("Runtime", None)))
    with pytest.raises(OSError, match="Too many open files"):
        pages.get("/")
    assert pages.get("/").status_code == 200

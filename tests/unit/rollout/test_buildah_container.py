"""The trial of an image with Buildah, as far as it needs no Buildah; tests/integration/test_image_without_daemon.py has the rest."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import pytest

from passerelle.errors import OutsideError
from passerelle.rollout import buildah_container as module


def test_a_container_whose_image_is_copied_has_ten_minutes_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def ask(engine: str, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        calls.append((arguments, timeout_s))
        return subprocess.CompletedProcess([engine], 1, "", "no such image")

    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(module, "check_architecture", lambda _engine, _image: None)
    with pytest.raises(OutsideError, match=r"starting a:1 failed:\n.*no such image"), module._running("a:1", {}):
        pass
    assert calls == [(("from", "--quiet", "a:1"), 600.0)]


def test_a_service_that_does_not_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def running(*_: object) -> Iterator[tuple[Any, str, IO[bytes]]]:
        yield None, "http://127.0.0.1:1", io.BytesIO()

    def end(_: object) -> int:
        raise subprocess.TimeoutExpired("buildah", 30)

    monkeypatch.setattr(module, "_running", running)
    monkeypatch.setattr(module, "_wait_until_ready", lambda *_: None)
    monkeypatch.setattr(module, "replay_over_http", lambda *_, **__: None)
    monkeypatch.setattr(module, "_end", end)
    with pytest.raises(OutsideError, match="a:1 did not end within 30 s"):
        module.smoke("a:1", cast("Any", None), expected_version="2", environment={})

"""The trial of an image with Buildah, as far as it needs no Buildah; tests/integration/test_image_without_daemon.py has the rest."""

from __future__ import annotations

import subprocess

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

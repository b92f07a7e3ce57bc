"""The platform starts whether the engine still holds the service's image or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passerelle.rollout import compose
from passerelle.rollout.stack import Stack

IMAGE = "sha256:0123456789abcdef"


@pytest.mark.parametrize(
    ("found", "profiles", "said"),
    [(None, "backup", "docker no longer holds the image that was deployed"), ({"Id": IMAGE}, "backup,service", "")],
)
def test_replicas_whose_image_was_pruned_stop_nobody_else(
    found: dict[str, Any] | None, profiles: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SERVICE_IMAGE", "COMPOSE_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    stack = Stack(tmp_path)
    stack.remember({"SERVICE_IMAGE": IMAGE, "COMPOSE_PROFILES": "backup,service"})
    monkeypatch.setattr(compose, "inspect", lambda _engine, image: found if image == IMAGE else pytest.fail(image))
    progress: list[str] = []
    compose._forget_lost_image(stack, progress.append)
    assert stack.values()["COMPOSE_PROFILES"] == profiles
    assert "".join(progress).startswith(said)
    assert ("to serve again: passerelle deploy --target compose" in "".join(progress)) == bool(said)

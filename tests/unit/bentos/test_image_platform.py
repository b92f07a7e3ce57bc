"""Another platform is built only where the engine can run its programs."""

from __future__ import annotations

import subprocess

import pytest

from passerelle.bentos import image_platform as module
from passerelle.bentos.image_platform import check_platform, is_foreign
from passerelle.errors import OutsideError, UsageError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    calls: list[tuple[str, ...]] = []

    def ask(engine: str, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        calls.append(arguments)
        runs = "emulated" in arguments
        return subprocess.CompletedProcess([engine], int(not runs), "", "" if runs else "\nexec python3: exec format error\n")

    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(module, "this_machine", lambda: "amd64")
    return calls


@pytest.mark.parametrize("platform", [None, "linux/amd64"])
def test_this_machines_platform_needs_no_trial(asked: list[tuple[str, ...]], platform: str | None) -> None:
    check_platform("docker", platform, "base")
    assert (is_foreign(platform), asked) == (False, [])


def test_a_platform_that_the_engine_cannot_run_is_refused_before_the_build(asked: list[tuple[str, ...]]) -> None:
    with pytest.raises(OutsideError, match=r"\(linux/amd64\) cannot run base for linux/arm64.*exec format error"):
        check_platform("docker", "linux/arm64", "base")
    assert asked[0][:4] == ("run", "--rm", "--platform", "linux/arm64")


def test_a_platform_that_is_emulated_passes(asked: list[tuple[str, ...]]) -> None:
    check_platform("docker", "linux/arm64", "emulated")
    assert len(asked) == 1


def test_an_unknown_platform_is_refused(asked: list[tuple[str, ...]]) -> None:
    with pytest.raises(UsageError, match="windows/amd64 is none of linux/amd64, linux/arm64"):
        check_platform("docker", "windows/amd64", "base")
    assert asked == []

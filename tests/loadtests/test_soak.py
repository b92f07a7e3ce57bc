"""What the soak makes of its looks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from loadtests import soak as script
from loadtests.soak import Look, Soak, broken, write
from passerelle.errors import OutsideError


def looks(*memory: float, more: int = 0) -> list[Look]:
    return [Look(float(second), 0, mib, 20 + more * (second > 80), 5) for second, mib in enumerate(memory)]


@pytest.mark.parametrize(
    ("given", "failed", "expected"),
    [
        (looks(*[50.0] * 60, *[100.0] * 60), 0, []),
        (looks(*[100.0] * 119, 107.9), 0, []),
        (looks(*[100.0] * 119, 108.1), 0, ["memory went +8.1 MiB from where it was after 60 s"]),
        (looks(*[100.0] * 119, 90.0), 0, ["memory went -10.0 MiB from where it was after 60 s"]),
        (looks(*[100.0] * 120, more=5), 0, ["5 more descriptors at the end"]),
        (looks(*[100.0] * 120), 1, ["1 requests failed"]),
        (looks(*[100.0] * 59), 0, ["the run ended before its first 60 seconds were over: nothing can be said of memory"]),
    ],
)
def test_memory_is_held_to_what_it_was_after_a_minute(given: list[Look], failed: float, expected: list[str]) -> None:
    assert broken(given, failed, 60.0) == expected


def test_a_round_without_a_result_is_written_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_address: str, seed: int) -> tuple[int, float]:
        if seed == 1:
            raise subprocess.TimeoutExpired("wrk", 70)
        return 100, 0.0

    monkeypatch.setattr(script, "sent", stopped)
    soak = Soak(looks(*[100.0] * 120))
    assert all(soak.add_round("http://x") for _ in range(3))
    assert soak.counts == [100, 0, 100]
    assert len(write(soak, tmp_path, 60.0)) == 1
    assert '"requests": 200' in next(tmp_path.glob("*.json")).read_text(encoding="utf-8")


def test_a_service_that_is_gone_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_address: str, seed: int) -> tuple[int, float]:
        raise OutsideError(f"no result of {seed}", hint="make bench")

    monkeypatch.setattr(script, "sent", refused)
    soak = Soak()
    assert [soak.add_round("http://x") for _ in range(5)] == [True, True, True, True, False]

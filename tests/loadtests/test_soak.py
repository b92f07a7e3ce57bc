"""What the soak makes of its looks."""

from __future__ import annotations

import pytest

from loadtests.soak import Look, broken


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

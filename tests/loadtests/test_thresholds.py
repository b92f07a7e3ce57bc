"""Every limit of a load, kept and not kept, on plain figures."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import pytest

from loadtests.locust.thresholds import Figures, Thresholds, growth_mib

LIMITS = Thresholds(p99_ms=50, requests_per_s=100, batch_p99_ms=150, spike_p99_ms=2_000, failure_percent=1, memory_growth_mib=16)
TOTAL = Figures("Aggregated", requests=1_000, failures=0, requests_per_s=200, p50_ms=2, p95_ms=10, p99_ms=50, max_ms=70)


def named(name: str, p99_ms: float) -> list[Figures]:
    return [replace(TOTAL, name=name, p99_ms=p99_ms)]


def test_what_is_just_kept_is_kept() -> None:
    assert LIMITS.broken(replace(TOTAL, failures=10), named("POST /classify", 50), 16.0) == []


@pytest.mark.parametrize(
    ("name", "p99_ms", "kept"),
    [
        ("POST /classify", 51, False),
        ("POST /classify (new connection)", 51, False),
        ("POST /classify (after)", 51, False),
        ("POST /classify (during)", 1_999, True),
        ("POST /classify (settling)", 2_001, False),
        ("POST /classify/batch (20)", 149, True),
        ("POST /classify/batch (20)", 151, False),
        ("refused 422 invalid_record", 5_000, True),
        ("told to come back", 5_000, True),
    ],
)
def test_each_kind_of_request_has_its_limit(name: str, p99_ms: float, kept: bool) -> None:
    found = LIMITS.broken(TOTAL, named(name, p99_ms))
    assert (found == []) is kept, found
    assert all(name in line for line in found)


def test_failures_count() -> None:
    assert LIMITS.broken(replace(TOTAL, failures=11), []) == ["11 of 1000 requests failed (1.10 %), over 1 %"]


def test_a_run_without_load_shows_nothing() -> None:
    nothing = replace(TOTAL, requests=0, requests_per_s=0, p99_ms=0)
    assert len(LIMITS.broken(nothing, [])) == 2
    assert LIMITS.broken(replace(TOTAL, requests_per_s=99), []) == ["99 requests/s, under 100"]


def test_only_what_was_answered_as_it_should_be_is_load() -> None:
    many = replace(LIMITS, failure_percent=100)
    assert many.broken(replace(TOTAL, failures=600), []) == ["80 requests/s, under 100"]


def test_memory_that_grows() -> None:
    assert LIMITS.broken(TOTAL, [], 16.1) == ["the service gained 16.1 MiB, over 16 MiB"]
    assert growth_mib([200.0] * 8) is None
    assert growth_mib([200.0, 200.0, 999.0, *[200.0] * 7]) == 0.0
    assert growth_mib([200.0 + second for second in range(90)]) == 60.0


def test_the_command_line_says_otherwise() -> None:
    given = LIMITS.given(Namespace(p99_ms=7.0, batch_p99_ms=None, host="http://127.0.0.1:1"))
    assert given == replace(LIMITS, p99_ms=7.0)

"""The bench's medians, ratios and table on plain figures, and a short run of the real thing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.bench.load import Round, median, parsed
from loadtests.bench.report import Measured, goals, table
from loadtests.bench.servers import CEILING, OURS, PYFUNC
from passerelle.errors import OutsideError
from tests.service_fixtures import ROOT


def measured(ours: Round, *, start_seconds: float = 2.0, batch: tuple[float, float] = (0.1, 0.5), resident_mib: float = 200.0) -> Measured:
    slow, fast = Round(100, 4.0, 300.0, 0), Round(8_000, 0.2, 8.0, 0)
    rounds = {OURS: {1: ours, 32: ours}, PYFUNC: {1: slow, 32: slow}, CEILING: {1: fast, 32: fast}}
    return Measured(rounds, batch, start_seconds, {OURS: (resident_mib, 150.0)}, {"cores": 2}, "2026-11-23T00:00:00Z")


def reached(of: Measured) -> list[bool]:
    return [goal.reached for goal in goals(of)]


def test_every_goal_is_reached_by_a_service_that_is_good_enough() -> None:
    assert reached(measured(Round(4_000, 0.3, 12.0, 0))) == [True] * 7


@pytest.mark.parametrize(
    ("of", "missed"),
    [
        (measured(Round(1_499, 0.3, 12.0, 0)), [0, 3]),
        (measured(Round(4_000, 0.3, 20.1, 0)), [1]),
        (measured(Round(4_000, 0.51, 12.0, 0)), [2]),
        (measured(Round(3_500, 0.3, 12.0, 0)), [3]),
        (measured(Round(4_000, 0.3, 12.0, 0), batch=(0.1, 0.29)), [4]),
        (measured(Round(4_000, 0.3, 12.0, 0), start_seconds=3.1), [5]),
        (measured(Round(4_000, 0.3, 12.0, 0), resident_mib=251), [6]),
    ],
)
def test_a_goal_that_is_missed_is_told(of: Measured, missed: list[int]) -> None:
    assert [place for place, good in enumerate(reached(of)) if not good] == missed
    assert table(of).count("**not reached**") == len(missed)


def test_the_median_of_rounds_hides_no_error() -> None:
    rounds = [Round(100, 1, 10, 0), Round(300, 3, 30, 2), Round(200, 2, 90, 1)]
    assert median(rounds) == Round(200, 2, 30, 3)


def test_what_wrk_says_is_read_and_silence_is_an_error() -> None:
    line = 'RESULT {"requests": 50, "duration_s": 2.0, "p50_ms": 1.5, "p99_ms": 9.0, "errors": 1}'
    assert parsed(f"Running\n{line}\n") == Round(25.0, 1.5, 9.0, 1)
    with pytest.raises(OutsideError, match="connection refused"):
        parsed("", "unable to connect: connection refused")


@pytest.mark.integration
def test_a_short_run_writes_a_table_and_a_plot(tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("wrk is missing: apt-get install wrk")
    command = [
        sys.executable,
        "-m",
        "loadtests.bench",
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--texts",
        "300",
        "--results",
        str(tmp_path),
        "--only",
        OURS,
        CEILING,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    [report] = tmp_path.glob("bench-*.md")
    assert f"| {OURS} |" in report.read_text()
    assert "Errors: none." in report.read_text()
    assert report.with_suffix(".svg").stat().st_size > 1_000
    assert report.with_suffix(".json").exists()

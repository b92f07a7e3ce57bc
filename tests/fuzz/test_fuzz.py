"""A short run of each fuzzing target, the same inputs each time; `make fuzz` runs them for minutes, with others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = {"body": 2_000, "head": 5_000}

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("target", RUNS)
def test_nothing_breaks_and_new_paths_are_found(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="Atheris has wheels for Linux on x86-64 alone")
    command = [sys.executable, "-m", "tests.fuzz", target, str(tmp_path / "found"), f"-runs={RUNS[target]}", "-seed=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    found = {name: int(number) for name, number in re.findall(r"stat::(\w+): *(\d+)", done.stderr)}
    assert found["number_of_executed_units"] >= RUNS[target]
    assert found["new_units_added"] >= 5, "what was tried led somewhere new"

"""The loads against a live service, short: what they write, and that a limit which is not kept fails the run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadtests.locust.__main__ import command, main
from tests.service_fixtures import ROOT, ServedModel

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
# These hold that the loads work, beside other tests on the same cores; figures are for `make load`.
EASY = ["--p99-ms", "5000", "--batch-p99-ms", "5000", "--spike-p99-ms", "20000", "--requests-per-s", "20", "--memory-growth-mib", "200"]
REFUSED = {"400 malformed_json", "404 not_found", "405 wrong_method", "415 unsupported_media_type"}
REFUSED |= {"422 invalid_record", "422 too_many_records"}


def run(load: str, host: str, seconds: float, results: Path, *further: str) -> tuple[int, str, dict[str, Any]]:
    """Run a load; return its exit code, what it said, and the results that it wrote."""
    line = command(load, host, seconds, ["--results", str(results), *further])
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    written = list(results.glob(f"{load}-*.json"))
    assert len(written) == 1, done.stderr
    return done.returncode, done.stdout + done.stderr, json.loads(written[0].read_text())


@pytest.mark.timing
def test_the_mix_keeps_its_thresholds(served: ServedModel, tmp_path: Path) -> None:
    code, said, found = run("mix", served.address, 8, tmp_path, *EASY, "--service-pid", str(served.child.pid))
    assert code == 0, said
    assert (found["broken"], found["failures"]) == ([], [])
    names = {each["name"] for each in found["figures"]}
    assert {"POST /classify", "POST /classify (new connection)", "POST /classify/batch (20)"} <= names
    # Drawn at random: that most kinds of mistakes were made is enough.
    assert len(names & {f"refused {kind}" for kind in REFUSED}) >= 4
    assert found["thresholds"]["p99_ms"] == 5_000
    assert found["memory_mib"]["most"] > 50
    assert {"processor", "cores", "memory_mib", "python", "locust", "bentoml"} <= found["machine"].keys()
    assert found["date"].startswith("20")
    with next(tmp_path.glob("mix-*.csv")).open(encoding="utf-8") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [each["name"] for each in found["figures"]]


@pytest.mark.timing
def test_the_spike_is_told_by_its_stages(served: ServedModel, tmp_path: Path) -> None:
    code, said, found = run("spike", served.address, 6.5, tmp_path, *EASY, "--many", "60")
    assert code == 0, said
    assert {f"POST /classify ({stage})" for stage in ("before", "during", "after")} <= {each["name"] for each in found["figures"]}


@pytest.mark.parametrize("limit", [("--p99-ms", "0.001"), ("--requests-per-s", "1000000")], ids=lambda limit: limit[0])
def test_a_limit_that_is_not_kept_fails_the_run(served: ServedModel, tmp_path: Path, limit: tuple[str, str]) -> None:
    code, said, found = run("mix", served.address, 3, tmp_path, *EASY, *limit)
    assert code == 1, said
    assert found["broken"]
    assert all(f"threshold: {line}" in said for line in found["broken"])


def test_a_service_that_is_not_there_fails_the_run(tmp_path: Path) -> None:
    code, _, found = run("soak", "http://127.0.0.1:1", 2, tmp_path, *EASY)
    assert code == 1
    assert "failed (100.00 %)" in found["broken"][0]
    assert any("refused" in line for line in found["failures"])


def test_without_a_bento_the_next_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    monkeypatch.delenv("PASSERELLE_BENTOML_HOME", raising=False)
    assert main(["mix"]) == 2
    assert "next: make demo" in capsys.readouterr().err

"""`passerelle env` while the embedded platform is off: what does not depend on it, and a note of what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from passerelle.cli.main import run
from passerelle.platform.state import own_environment
from tests.platform_fixtures import OURS


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where nothing runs, with a blank in its name."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    folder = tmp_path / "où nous sommes"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_it_prints_what_holds_while_the_platform_is_off(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["env", "--json"])
    printed = capsys.readouterr()
    assert json.loads(printed.out) == own_environment(elsewhere / ".passerelle")
    assert all(line.startswith("# ") for line in printed.err.splitlines())
    assert "MLFLOW_TRACKING_URI" in printed.err
    assert "passerelle up" in printed.err
    assert not list(elsewhere.iterdir()), "it writes nothing"


def test_a_shell_takes_it(elsewhere: Path) -> None:
    script = 'set -eu; eval "$("$1" -m passerelle env)"; printf %s "$BENTOML_HOME"'
    done = subprocess.run(["bash", "-c", script, "bash", sys.executable], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, str(elsewhere / ".passerelle" / "bentoml")), done.stderr

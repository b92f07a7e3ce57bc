"""Where no service was started, a command says so before it imports the settings, which take most of its time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("command", [("monitor",), ("deploy", "--stop")])
def test_no_settings_are_imported_where_no_service_was_started(command: tuple[str, ...], tmp_path: Path) -> None:
    arguments = [sys.executable, "-X", "importtime", "-m", "passerelle", *command]
    done = subprocess.run(arguments, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert "no service runs here" in done.stdout + done.stderr
    assert "passerelle.cli.connect" in done.stderr, "imports are listed"
    assert "pydantic" not in done.stderr

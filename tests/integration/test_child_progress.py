"""A command in a child process that takes too long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from passerelle.stages.child_progress import run_with_progress

pytestmark = pytest.mark.integration


@pytest.mark.timing
def test_a_command_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    said: list[str] = []
    began = time.monotonic()
    done = run_with_progress(["sh", "-c", "echo begins >&2; sleep 20; echo ends >&2"], tmp_path, os.environ, 1.0, said.append)
    assert (done.returncode, said) == (-9, ["begins"])
    assert done.stderr.splitlines()[-1] == "it took longer than 1 s and was ended"
    # `sleep` holds the pipe of stderr as long as it lives.
    assert time.monotonic() - began < 15

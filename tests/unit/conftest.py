"""What holds for every unit test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from passerelle.monitoring.prediction_log import line_writer, log_process
from tests.unit.log_stand_in import WritingThread


@pytest.fixture(scope="package", autouse=True)
def _no_process() -> Iterator[None]:
    """Refuse to start processes: a test that needs one is an integration test."""

    def refuse(process: Any, command: Any, *_: Any, **__: Any) -> None:
        process._child_created = False
        raise AssertionError(f"a unit test starts {command!r}: move it to tests/integration")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", refuse)
        patch.setattr(log_process, "_started", WritingThread)
        patch.setattr(line_writer, "_GATHER_S", 0.002)
        yield

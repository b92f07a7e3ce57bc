"""What holds for every unit test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="package", autouse=True)
def _no_process() -> Iterator[None]:
    """Refuse to start processes: a test that needs one is an integration test."""

    def refuse(*arguments: Any, **_: Any) -> None:
        raise AssertionError(f"a unit test starts {arguments[0]!r}: move it to tests/integration")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", refuse)
        yield

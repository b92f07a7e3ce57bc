"""Airflow in an environment of its own, which is made once for each lock file, in the cache."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from run_airflow import airflow_environment

from tests.platform_fixtures import OURS

LIMIT_S = 1_500.0
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "AIRFLOW"))}


@pytest.fixture(scope="session")
def airflow() -> Path:
    """The folder of the environment."""
    return airflow_environment()


def run(command: list[str], environment: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)

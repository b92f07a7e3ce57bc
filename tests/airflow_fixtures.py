"""Airflow in an environment of its own, which is made once for each lock file, in the cache."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
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


def states_of(tasks: Iterable[tuple[str, str, float | None]]) -> str:
    """Return the state of each task, and its seconds where it ran."""
    return ", ".join(f"{name} {state}" + (f" {seconds:.0f} s" if seconds else "") for name, state, seconds in tasks)


@dataclass
class RunningAirflow:
    """Airflow as its API shows it."""

    address: str
    http: requests.Session

    def get(self, path: str) -> Any:
        answer = self.http.get(f"{self.address}/api/v2/{path}", timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.http.post(f"{self.address}/api/v2/{path}", json=body, timeout=120)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def start(self, **conf: Any) -> str:
        return str(self.post("dags/passerelle_flow/dagRuns", logical_date=None, conf=conf)["dag_run_id"])

    def run(self, run_id: str) -> Any:
        return self.get(f"dags/passerelle_flow/dagRuns/{run_id}")

    def tasks(self, run_id: str) -> dict[str, Any]:
        found = self.get(f"dags/passerelle_flow/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, f"it does not come to that: {what}"
            # An answer of Airflow's API takes as much of the processor as one of its tasks takes in a second.
            time.sleep(2)

    def end_of(self, run_id: str) -> dict[str, str]:
        self.until(lambda: self.run(run_id)["state"] in ("success", "failed"), f"the end of {run_id}")
        return {name: task["state"] for name, task in self.tasks(run_id).items()}

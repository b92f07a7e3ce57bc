"""Airflow's containers beside the stack's: a run of the flow in them, from an empty database to the smoke test."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from run_airflow import session

from tests.airflow_fixtures import RunningAirflow, states_of
from tests.stack.stack_fixtures import StackForTests

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(1800)]
PROCESSES = ("airflow", "airflow-scheduler", "airflow-dags")


def test_a_run_of_the_flow_in_the_containers_ends_with_the_smoke_test(
    served: StackForTests, record_property: Callable[[str, object], None]
) -> None:
    # The containers read the project as another user.
    served.folder.chmod(0o755)
    try:
        served.compose("--profile", "airflow", "up", "--detach", "--wait", *PROCESSES, timeout=900)
        address = f"http://127.0.0.1:{served.environment['AIRFLOW_PORT']}"
        airflow = RunningAirflow(address, session(address, served.secret("airflow_admin_password")))
        airflow.until(lambda: airflow.get("dags")["total_entries"] == 4, "four DAGs are read")
        assert airflow.get("importErrors")["import_errors"] == []
        run = airflow.start()
        states = airflow.end_of(run)
        tasks = sorted(airflow.tasks(run).values(), key=lambda task: task["end_date"] or "")
        found = states_of((task["task_id"], task["state"], task["duration"]) for task in tasks)
        record_property("figure", f"a DAG's run in the stack's containers: {found}")
        log = airflow.get(f"dags/passerelle_flow/dagRuns/{run}/taskInstances/train/logs/1")["content"]
        assert states == {**dict.fromkeys(states, "success"), "champion_stays": "skipped", "containerize": "skipped"}, log
        shown = [each for each in log if each.get("logger") == "task.stdout"]
        assert str(shown[0]["event"]).startswith("$ "), log
        assert {each["level"] for each in log if "level" in each} <= {"debug", "info", "warning"}, "progress is no error"
    finally:
        served.compose("--profile", "airflow", "rm", "--stop", "--force", *PROCESSES)
    held = json.loads(served.done("passerelle", "status", "--json"))
    assert held["holdings"]["service"] == held["holdings"]["alias"] == 1

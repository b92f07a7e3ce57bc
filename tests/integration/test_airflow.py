"""The DAGs in Airflow: by `airflow dags test`, and by its real scheduler on loopback, on a small project."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from run_airflow import prepare, session, variables

from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.ports import free_ports
from passerelle.rollout import local
from passerelle.rollout.service_state import running_services
from tests.airflow_fixtures import ENVIRONMENT, LIMIT_S, RunningAirflow, run, states_of
from tests.project_copies import copied_project, fewer_candidates
from tests.warm_command import command_for_shells

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3_600)]
ROOT = Path(__file__).resolve().parents[2]
PASSERELLE = Path(sys.executable).parent / "passerelle"

#: A `passerelle` whose first promotion waits between the lock and the ledger, and notes which task started it; its lock does not go stale.
#: All other commands find their libraries in memory.
_SLOW_PROMOTION = """#!{python}
import os, sys, time
from pathlib import Path
mark, release = Path({folder!r}, "mark"), Path({folder!r}, "release")
if sys.argv[1] != "promote" or release.exists():
    # Airflow gives its tasks a socket for their messages, which no other process can open.
    os.dup2(os.open({folder!r} + "/messages", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.execv({warm!r}, [{warm!r}, *sys.argv[1:]])
from passerelle.registry import lock
from passerelle.stages import promotion
lock.STALE_S = 3_600.0
if not mark.exists():
    carry_out = promotion.carry_out
    def slow(*arguments, **options):
        mark.with_suffix(".new").write_text(str(os.getppid()))
        mark.with_suffix(".new").rename(mark)
        while not release.exists():
            time.sleep(0.1)
        return carry_out(*arguments, **options)
    promotion.carry_out = slow
from passerelle.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of this project with one candidate; the service that a run leaves is ended."""
    folder = tmp_path_factory.mktemp("airflow") / "project"
    copied_project(ROOT, folder)
    fewer_candidates(folder)
    candidates = folder / "training" / "candidates.py"
    candidates.write_text(candidates.read_text().replace("[1:4:2]", "[3:4]"))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    yield folder
    state = folder / ".passerelle"
    for name in running_services(state):
        local.stop(state, name)


def command(project: Path, *arguments: str, environment: dict[str, str] = ENVIRONMENT) -> Any:
    done = run([str(PASSERELLE), *arguments, "--json"], environment, project)
    assert done.stdout.count("\n") == 1, "one line where stdout is no terminal"
    return json.loads(done.stdout)


def test_dags_test_goes_from_an_empty_database_to_the_smoke_test(
    airflow: Path, project: Path, record_property: Callable[[str, object], None]
) -> None:
    """In the home that `make airflow` uses afterwards: what this leaves paused, it unpauses."""
    home = project / ".passerelle" / "airflow"
    home.mkdir(parents=True)
    # Another model than that of the runs below, which find its training.
    model = {"PASSERELLE_REGISTERED_MODEL": "alone"}
    environment = ENVIRONMENT | variables(home, free_ports(1)[0], project) | model
    with EmbeddedPlatform(project / ".passerelle"), command_for_shells() as warm:
        environment["AIRFLOW_VAR_PASSERELLE_COMMAND"] = str(warm / "passerelle")
        prepare(airflow, environment)
        arguments = [str(airflow / "bin" / "airflow"), "dags", "test", "passerelle_flow"]
        done = run(arguments, environment)
        assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
        status = command(project, "status", environment=ENVIRONMENT | model)
    assert status["holdings"]["service"] == status["holdings"]["alias"] == 1
    with sqlite3.connect(home / "airflow.db") as database:
        tasks = list(database.execute("select task_id, state, duration from task_instance order by end_date"))
        # As `airflow dags test` leaves them where Airflow's own settings count.
        database.execute("update dag set is_paused = 1")
    states = {name: state for name, state, _ in tasks}
    record_property("figure", f"a DAG's run from an empty metadata database: {states_of(tasks)}")
    assert states == {**dict.fromkeys(states, "success"), "champion_stays": "skipped", "containerize": "skipped"}
    assert states["smoke"] == "success"


@dataclass
class Running(RunningAirflow):
    """Airflow as it runs on loopback, for a project; `folder` is where the first promotion waits."""

    project: Path
    folder: Path


@pytest.fixture(scope="module")
def running(airflow: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("slow")
    with command_for_shells() as warm:
        slow = folder / "passerelle"
        slow.write_text(_SLOW_PROMOTION.format(python=sys.executable, folder=str(folder), warm=str(warm / "passerelle")))
        slow.chmod(0o755)
        with running_airflow(project, folder, slow) as found:
            yield found


@contextmanager
def running_airflow(project: Path, folder: Path, slow: Path) -> Iterator[Running]:
    """Run `make airflow` with this command of passerelle, until the body ends."""
    shown = folder / "shown"
    environment = ENVIRONMENT | {"AIRFLOW_VAR_PASSERELLE_COMMAND": str(slow)}
    with shown.open("w") as log:
        # What `make airflow` runs; make itself would install the copy into the environment of both where a file is newer.
        command = [sys.executable, "deploy/airflow/run_airflow.py"]
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        pattern, deadline = re.compile(r"^Airflow +(\S+)  user admin, password (\S+)$", re.MULTILINE), time.monotonic() + LIMIT_S
        while not (found := pattern.search(shown.read_text())):
            assert process.poll() is None, shown.read_text()
            assert time.monotonic() < deadline, shown.read_text()
            time.sleep(0.5)
        yield Running(found[1], session(found[1], found[2]), project, folder)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(120)
    with pytest.raises(requests.ConnectionError):
        requests.get(found[1], timeout=5)


def kill_promotion(running: Running, run_id: str) -> None:
    """Kill the task once its command has the lock, and let the command end after the second attempt has found the lock taken."""
    mark, release = running.folder / "mark", running.folder / "release"
    running.until(lambda: mark.exists() or running.run(run_id)["state"] == "failed", "the first promotion has the lock")
    os.kill(int(mark.read_text()), signal.SIGKILL)

    def retried() -> bool:
        task = running.tasks(run_id)["promote"]
        return task["try_number"] >= 2 and task["state"] in ("up_for_retry", "success", "failed")

    running.until(retried, "a second attempt ends")
    log = json.dumps(running.get(f"dags/passerelle_flow/dagRuns/{run_id}/taskInstances/promote/logs/2"))
    assert "holds the lock: promote of version 1" in log
    release.touch()


def test_an_event_starts_a_run_that_survives_a_kill_and_the_next_one_waits_and_ends_at_the_gate(
    running: Running, record_property: Callable[[str, object], None]
) -> None:
    (asset,) = running.get("assets?name_pattern=drift_alarm")["assets"]
    running.post("assets/events", asset_id=asset["id"], extra={})

    def begun() -> list[str]:
        runs = running.get("dags/passerelle_flow/dagRuns")["dag_runs"]
        return [run["dag_run_id"] for run in runs if run["run_type"] == "asset_triggered"]

    running.until(begun, "the event starts a run")
    (first,) = begun()
    second = running.start(again=True)
    kill_promotion(running, first)
    assert running.run(second)["state"] == "queued"
    states = running.end_of(first)
    assert states == {**dict.fromkeys(states, "success"), "champion_stays": "skipped", "containerize": "skipped"}
    states = running.end_of(second)
    assert [states[name] for name in ("promote", "champion_stays", "import", "smoke")] == ["success", "success", "skipped", "skipped"]
    tasks = sorted(running.tasks(second).values(), key=lambda task: task["end_date"] or "")
    stopped = states_of((task["task_id"], task["state"], task["duration"]) for task in tasks)
    record_property("figure", f"a DAG's run that the gate stopped: {stopped}")
    runs = [running.run(each) for each in (first, second)]
    assert [run["state"] for run in runs] == ["success", "success"]
    assert runs[1]["start_date"] >= runs[0]["end_date"]
    entries = command(running.project, "history")["entries"]
    assert [(entry["what"], entry["to_version"]) for entry in entries] == [("promote", 1)], "the killed promotion happened once"
    answer = running.http.post(
        f"{running.address}/api/v2/dags/passerelle_flow/dagRuns", json={"logical_date": None, "conf": {"seed": -1}}, timeout=60
    )
    assert answer.status_code == 400, "parameters are checked before a run begins"

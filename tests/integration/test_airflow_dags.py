"""The file of the DAGs, read by Airflow's Python: what is in it, what reading it takes, and what a task makes of a command's error."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from run_airflow import DAGS, HERE, _refuse_ended, prepare, variables

from passerelle.errors import OutsideError
from passerelle.stages.acceptance import ACCEPTANCES
from tests.airflow_fixtures import ENVIRONMENT, run

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
CORRECTED, ALARM = "x-passerelle://corrected-data", "x-passerelle://drift-alarm"

#: Imports Airflow first: what is measured is the file's own time, in CPU seconds.
_READ = """
import importlib.util, json, sys, time
import airflow.sdk, airflow.sdk.exceptions
sys.path.insert(0, sys.argv[1])
spec = importlib.util.spec_from_file_location("passerelle_flow", sys.argv[1] + "/passerelle_flow.py")
began = time.process_time()
spec.loader.exec_module(importlib.util.module_from_spec(spec))
seconds = time.process_time() - began
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
dags = {}
for name, dag in bag.dags.items():
    dags[name] = [dag.owner, dag.doc_md, dag.max_active_runs, [task.execution_timeout is not None for task in dag.tasks]]
retries = {f"{task.dag_id}.{task.task_id}": task.retries for dag in bag.dags.values() for task in dag.tasks}
acceptances = bag.dags["passerelle_flow"].params.get_param("accept").schema["items"]["enum"]
pools = sorted(f"{task.dag_id}.{task.task_id}" for dag in bag.dags.values() for task in dag.tasks if task.pool == "promotion")
outlets = {f"{task.dag_id}.{task.task_id}": [each.uri for each in task.outlets] for dag in bag.dags.values() for task in dag.tasks}
told = {task.on_failure_callback[0].__name__ for dag in bag.dags.values() for task in dag.tasks}
awaited = [each.uri for each in bag.dags["passerelle_flow"].timetable.asset_condition.objects]
timed = [getattr(dag.timetable, "timetable", dag.timetable) for dag in bag.dags.values()]
cron = {name: getattr(each, "expression", None) for name, each in zip(bag.dags, timed)}
past = max(each.run_immediately.total_seconds() for each in timed if hasattr(each, "run_immediately"))
found = {"past": past, "seconds": seconds, "errors": bag.import_errors, "dags": dags, "pools": pools, "retries": retries}
found |= {"acceptances": acceptances, "told": sorted(told), "awaited": awaited, "cron": cron}
found["outlets"] = {name: uris for name, uris in outlets.items() if uris}
print(json.dumps(found))
"""
#: Calls the function of the task `promote` with a code in the place of the version, for a command that fails with this code, then with what
#: a person wrote in the form, and the same of `rollback`; then `drift_alarm` with each state, what `notify` sends of a task that failed,
#: and the real command where no registry runs.
_PROMOTE = """
import importlib.util, json, os, sys, types
sys.path.insert(0, sys.argv[1])
spec = importlib.util.spec_from_file_location("passerelle_flow", sys.argv[1] + "/passerelle_flow.py")
flow = importlib.util.module_from_spec(spec)
spec.loader.exec_module(flow)
form = {"accept": None, "reason": None, "by": None, "version": None}
run = types.SimpleNamespace(run_id="manual__1", triggering_user_name="admin")
flow.get_current_context = lambda: {"params": form, "dag_run": run}
for code in sys.argv[2:]:
    try:
        print("found", code, json.dumps(flow.promote.function(code)), sep="|")
    except Exception as error:
        print("found", code, type(error).__name__, sep="|")
form.update(accept=["too-few-rows", "criteria"], reason="fresh rows in March", by="Marie")
flow.promote.function("done")
form.update(accept=[], reason="complaints", by="")
flow.rollback.function()
for state in ("alarm", "normal"):
    try:
        print("drift", state, flow.drift_alarm.function(state), sep="|")
    except flow.AirflowSkipException as skipped:
        print("drift", state, skipped, sep="|")
import requests
class Answer:
    def raise_for_status(self):
        pass
def post(url, json, timeout):
    print("sent", url, json, sep="|")
    return Answer()
requests.post = post
ti = types.SimpleNamespace(dag_id="passerelle_flow", run_id="manual__1", task_id="promote", try_number=2)
flow.notify({"ti": ti, "exception": ValueError("outside: it is down")})
os.environ["AIRFLOW_VAR_PASSERELLE_NOTIFY_URL"] = "https://chat.example.org/hook"
flow.notify({"ti": ti, "exception": ValueError("outside: it is down")})
def gone(url, json, timeout):
    raise requests.HTTPError(f"404 for url: {url}", response=types.SimpleNamespace(status_code=404))
requests.post = gone
flow.notify({"ti": ti, "exception": None})
for named in ("/srv/comments.csv", ["/srv/comments.csv"], "a\\nb", {}):
    try:
        print("event", flow.data_of([{"data": "/srv/old.csv"}, {"data": named}, {}, None]), sep="|")
    except flow.AirflowFailException as error:
        print("event", error, sep="|")
os.environ.update(json.loads(os.environ["REAL"]))
try:
    flow.compare.function({"parent_run_id": "run"})
except Exception as error:
    print("no registry", type(error).__name__, error, sep="|")
"""
_COMMAND = """#!{python}
import json, os, signal, sys
code = sys.argv[3]
if "--reason" in sys.argv:
    print("typed", *sys.argv[1:], sep="|", file=sys.stderr)
    code = "done"
if code == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if code == "silent":
    sys.exit(2)
if code != "done":
    print(json.dumps({{"error": {{"code": code, "message": "it says why", "hint": None}}}}))
    sys.exit(1)
print(json.dumps({{"ref": {{"version": 7}}}}))
"""


def test_the_file_is_read_without_error_and_in_little_time(airflow: Path, tmp_path: Path) -> None:
    environment = ENVIRONMENT | variables(tmp_path, 1, ROOT)
    arguments = [str(airflow / "bin" / "python"), "-c", _READ, str(HERE / "dags")]
    done = run(arguments, environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert set(found["dags"]) == set(DAGS)
    for name, (owner, docs, most_runs, limited) in found["dags"].items():
        assert (owner, bool(docs), most_runs, all(limited)) == ("passerelle", True, 1, True), name
    assert found["pools"] == ["passerelle_flow.promote", "passerelle_rollback.rollback"]
    assert found["retries"]["passerelle_rollback.rollback"] == 0, "a second rollback would undo the first"
    assert tuple(found["acceptances"]) == ACCEPTANCES, "the form offers what the command takes"
    assert found["outlets"] == {"passerelle_drift.drift_alarm": [ALARM], "passerelle_corrections.export_corrections": [CORRECTED]}
    assert sorted(found["awaited"]) == [CORRECTED, ALARM], "the flow starts on what the two others make"
    assert {name: line for name, line in found["cron"].items() if line} == {
        "passerelle_flow": "0 3 * * *",
        "passerelle_drift": "0 6 * * *",
        "passerelle_corrections": "0 1 * * 1",
    }
    assert found["told"] == ["notify"], "whoever is to know hears of each task that fails"
    assert found["past"] <= 300, "a DAG that is unpaused in the morning does not begin the run of the night"
    assert found["seconds"] < 1


def test_a_task_follows_the_code_of_the_error_and_not_the_exit_code(airflow: Path, tmp_path: Path) -> None:
    command = tmp_path / "passerelle"
    command.write_text(_COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    environment = ENVIRONMENT | variables(tmp_path, 1, tmp_path) | {"AIRFLOW_VAR_PASSERELLE_COMMAND": str(command)}
    real = {"AIRFLOW_VAR_PASSERELLE_COMMAND": str(Path(sys.executable).parent / "passerelle"), "AIRFLOW_VAR_PASSERELLE_PROJECT": str(ROOT)}
    environment["REAL"] = json.dumps(real | {"PASSERELLE_STATE_DIR": str(tmp_path / "state")})
    once, again = "AirflowFailException", "AirflowException"
    expected = {
        "done": '{"version": 7}',
        "criteria": '{"refused": "it says why"}',
        **dict.fromkeys(("refused", "integrity", "digest", "golden", "usage", "outside", "silent"), once),
        **dict.fromkeys(("busy", "killed"), again),
    }
    done = run([str(airflow / "bin" / "python"), "-c", _PROMOTE, str(HERE / "dags"), *expected], environment)
    found = dict(line.split("|")[1:] for line in done.stdout.splitlines() if line.startswith("found|"))
    assert found == expected, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("typed|")] == [
        "typed|promote|--version|done|--accept|too-few-rows|--accept|criteria"
        "|--reason|fresh rows in March (Marie; run manual__1 of Airflow, started by admin)|--json",
        "typed|rollback|--reason|complaints (run manual__1 of Airflow, started by admin)|--json",
    ]
    drift = [line for line in done.stdout.splitlines() if line.startswith("drift|")]
    assert drift == ["drift|alarm|None", "drift|normal|the answers are normal"]
    message = {"dag": "passerelle_flow", "run": "manual__1", "task": "promote", "attempt": 2, "error": "outside: it is down"}
    assert [line for line in done.stdout.splitlines() if line.startswith("sent|")] == [f"sent|https://chat.example.org/hook|{message}"]
    assert "the message was not sent: HTTPError 404" in done.stdout
    assert done.stdout.count("chat.example.org") == 1, "its address is a secret"
    no_path = "event|the `data` of the event that started this run is no path of a file"
    events = [line for line in done.stdout.splitlines() if line.startswith("event|")]
    assert events == ["event|/srv/comments.csv", no_path, no_path, "event|/srv/old.csv"]
    assert "no registry|AirflowException|outside: no MLflow server is named" in done.stdout
    assert "next: passerelle up" in done.stdout


def test_a_database_that_is_gone_is_an_error_with_its_cause(airflow: Path, tmp_path: Path) -> None:
    database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'gone' / 'airflow.db'}"}
    with pytest.raises(OutsideError, match="`airflow db migrate` failed") as refused:
        prepare(airflow, ENVIRONMENT | variables(tmp_path, 1, ROOT) | database)
    assert "unable to open database file" in refused.value.message
    assert "  File " not in refused.value.message
    assert refused.value.exit_code == 3


def test_a_process_that_ends_is_told_by_what_it_said_and_not_by_its_frames(tmp_path: Path) -> None:
    tail = '    Traceback (most recent call last):\n      File "x.py", line 1\n    sqlite3.DatabaseError: file is not a database'
    path = tmp_path / "the log" / "scheduler.log"
    child = SimpleNamespace(alive=lambda: False, name="airflow scheduler", log_tail=lambda: tail, log_path=path)
    with pytest.raises(OutsideError, match="airflow scheduler ended by itself") as refused:
        _refuse_ended(None, cast(Any, [child]))
    assert refused.value.message.splitlines()[1:] == ["    sqlite3.DatabaseError: file is not a database"]
    assert refused.value.hint == f"cat '{path}'"

"""Four DAGs that call the commands of passerelle: the flow from training to a checked service, a rollback, drift, and corrected answers.

Every decision is the command's. A task runs one command in passerelle's own environment, reads the JSON object on its
stdout, and follows the code of its error; the exit code alone does not tell a version that is no better from one that
was tampered with. Airflow's Variables `passerelle_project`, `passerelle_command` and `passerelle_notify_url` say where the project and
its command are, and where messages go; AIRFLOW_VAR_PASSERELLE_PROJECT and so on in the environment do the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    TriggerRule,
    Variable,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from passerelle_command import given, passerelle

PROMOTION = "promotion"
CORRECTED_DATA = Asset("corrected_data", uri="x-passerelle://corrected-data")
DRIFT_ALARM = Asset("drift_alarm", uri="x-passerelle://drift-alarm")
#: A version that the criteria refuse is a result; a digest, a signature or a golden prediction that differs is not.
REFUSED_BY_CRITERIA = frozenset({"criteria"})
#: What `promote --accept` takes.
ACCEPTANCES = ("champion-gone", "criteria", "ledger", "too-few-rows", "unjudged", "unknown-leakage", "withdrawn")
Result = Mapping[str, Any]


def tag(found: Result) -> str:
    """Return a tag of BentoML as the commands take it."""
    return f"{found['name']}:{found['version']}"


def params() -> Mapping[str, Any]:
    """Return the parameters of the run."""
    found: Mapping[str, Any] = get_current_context()["params"]
    return found


def reason() -> str | None:
    """Return the reason of the form with whose it is, for the ledger: its entries are written by the account of these processes."""
    chosen, run = params(), get_current_context()["dag_run"]
    why, by = (chosen["reason"] or "").strip(), (chosen["by"] or "").strip()
    if not why:
        return None
    started = f"run {run.run_id} of Airflow, started by {run.triggering_user_name or 'no user'}"
    return f"{why} ({by}; {started})" if by else f"{why} ({started})"


def at(cron: str) -> CronTriggerTimetable:
    """Return the times of a cron line in UTC; a DAG that is unpaused waits for the next one."""
    # Airflow's default starts a run at once in the first tenth of the time between two. Five minutes let a file that is parsed right after
    # a time, and before the scheduler looked, keep that run.
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(minutes=5))


def notify(context: Mapping[str, Any]) -> None:
    """Send the end of a task as JSON to the address in the Variable `passerelle_notify_url`, if there is one."""
    url = Variable.get("passerelle_notify_url", default=None)
    if url is None:
        return
    import requests  # noqa: PLC0415 - slow, and needed only where messages go somewhere

    ti, error = context["ti"], str(context.get("exception") or "")[:2_000] or None
    message = {"dag": ti.dag_id, "run": ti.run_id, "task": ti.task_id, "attempt": ti.try_number, "error": error}
    try:
        requests.post(url, json=message, timeout=10).raise_for_status()
    except requests.RequestException as problem:
        # Its text holds the address, and the address of a chat's webhook is a secret.
        print("the message was not sent:", type(problem).__name__, getattr(problem.response, "status_code", ""), flush=True)  # noqa: T201


def attempts(count: int, *, minutes: float, every_s: float = 30) -> dict[str, Any]:
    """Return how often a task is tried again, how long after, and how long one attempt may take."""
    return {"retries": count, "retry_delay": timedelta(seconds=every_s), "execution_timeout": timedelta(minutes=minutes)}


def data_of(events: Sequence[Mapping[str, Any] | None]) -> str | None:
    """Return the file that the last of the events with one names; Airflow checks the parameters of a form, and nothing of an event."""
    named = next((extra["data"] for extra in reversed(events) if extra and extra.get("data")), None)
    if named is not None and not (isinstance(named, str) and named.isprintable()):
        raise AirflowFailException("the `data` of the event that started this run is no path of a file")
    return named


@task(**attempts(1, minutes=120))
def train() -> dict[str, Any]:
    """Fit the candidates; nothing is fitted again where data, code and seed are the same."""
    events, chosen = get_current_context().get("triggering_asset_events") or {}, params()
    data = data_of([event.extra for found in events.values() for event in found]) or chosen["data"]
    texts = [chosen["text_column"]] if isinstance(chosen["text_column"], str) else chosen["text_column"] or []
    columns = [*(part for text in texts for part in given(text_column=text)), *given(label_column=chosen["label_column"])]
    done = passerelle("train", *given(data=data, seed=chosen["seed"], again=chosen["again"]), *(columns if data else []))
    return {name: done[name] for name in ("parent_run_id", "created", "rows")}


@task(**attempts(2, minutes=10))
def compare(trained: Result) -> dict[str, Any]:
    """Rank the candidates of this training."""
    best = passerelle("compare", "--parent-run", trained["parent_run_id"])["best"]
    return {"run_id": best and best["run_id"]}


@task.branch(**attempts(2, minutes=5))
def candidate(compared: Result) -> str:
    """Go on with the best candidate, if one meets the criteria."""
    return "register" if compared["run_id"] else "champion_stays"


@task(**attempts(2, minutes=30))
def register(compared: Result) -> int:
    """Make the best candidate a version of the registered model."""
    return int(passerelle("register", "--run", compared["run_id"])["ref"]["version"])


# Twenty seconds, nine times: the lock of a promotion that was killed is given up after two minutes. A promotion during which a server
# failed is not repeated by itself: a person looks at `passerelle status` first.
@task(pool=PROMOTION, **attempts(9, minutes=30, every_s=20))
def promote(version: int) -> dict[str, Any]:
    """Put the version into production, if the gate lets it pass, or a person accepts by name what speaks against it."""
    accepted = (part for name in params()["accept"] or [] for part in given(accept=name))
    why = given(reason=reason())
    done = passerelle("promote", "--version", str(version), *accepted, *why, retried={"busy"}, results=REFUSED_BY_CRITERIA)
    return {"refused": done["error"]["message"]} if "error" in done else {"version": done["ref"]["version"]}


@task.branch(**attempts(2, minutes=5))
def gate(promoted: Result) -> str:
    """End here, as a success, where the version is not as good as the one in production, or the rows are too few to tell."""
    return "champion_stays" if "refused" in promoted else "import"


@task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, on_success_callback=notify, **attempts(2, minutes=5))
def champion_stays() -> None:
    """Nothing was good enough to replace the version in production."""


# Never again by itself: after a rollback that was carried out, a second one would go back to where the first came from.
@task(pool=PROMOTION, **attempts(0, minutes=30))
def rollback() -> dict[str, Any]:
    """Put the previous version, or the one that was named, back into production."""
    done = passerelle("rollback", *given(version=params()["version"], reason=reason()))
    return {"version": done["ref"]["version"]}


@task(task_id="import", **attempts(2, minutes=30))
def import_model(promoted: Result) -> str:
    """Bring the version into the BentoML store, checked file by file."""
    return tag(passerelle("import", "--version", str(promoted["version"]))["bento_model_tag"])


@task(**attempts(1, minutes=30))
def build(bento_model_tag: str) -> str:
    """Build the bento of the version."""
    return tag(passerelle("build", bento_model_tag)["bento_tag"])


@task(**attempts(1, minutes=60))
def containerize(bento_tag: str) -> None:
    """Make the image of the bento, which a service without containers does not need."""
    if not params()["containerize"]:
        raise AirflowSkipException("the run was started without `containerize`")
    passerelle("containerize", bento_tag)


@task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, **attempts(1, minutes=30))
def deploy(bento_tag: str) -> str:
    """Serve the bento; the former one goes on where the new one does not get ready."""
    passerelle("deploy", bento_tag, "--target", params()["target"])
    return bento_tag


@task(on_success_callback=notify, **attempts(2, minutes=10))
def smoke(bento_tag: str) -> None:
    """Replay the golden inputs on the service: `deploy` of what is served already changes nothing and does just that."""
    passerelle("deploy", bento_tag, "--target", params()["target"])


@task(**attempts(2, minutes=60))
def drift() -> str:
    """Compare what the service answered with the month before and with the training."""
    return str(passerelle("drift", *given(day=params()["day"]))["state"])


@task(outlets=[DRIFT_ALARM], on_success_callback=notify, **attempts(2, minutes=5))
def drift_alarm(state: str) -> None:
    """Start the flow, which waits for this asset."""
    if state != "alarm":
        raise AirflowSkipException(f"the answers are {state}")


@task(outlets=[CORRECTED_DATA], **attempts(2, minutes=60))
def export_corrections() -> None:
    """Write the corrected answers as a table; start the flow where the table is a new one."""
    done = passerelle("feedback", "export", "--output", params()["output"], results={"not_found"})
    if "error" in done or not done["created"]:
        raise AirflowSkipException(done["error"]["message"] if "error" in done else "the same table was there")


def to_service(promoted: Any) -> Any:
    """Add the tasks from a version in production to its service."""
    built = build(import_model(promoted))
    deployed = deploy(built)
    containerize(built) >> deployed
    return smoke(deployed)


TARGET = {
    "target": Param("local", type="string", enum=["local", "compose", "kubernetes"], description="Where the version is served."),
    "containerize": Param(False, type="boolean", description="Make an image; compose and kubernetes need one."),
}
BY = Param(None, type=["null", "string"], description="Whose reason it is, for the ledger; it names the user who started the run anyway.")
COMMON: dict[str, Any] = {
    "max_active_runs": 1,
    "catchup": False,
    "tags": ["passerelle"],
    "default_args": {"owner": "passerelle", "on_failure_callback": notify},
}

with DAG(
    "passerelle_flow",
    schedule=AssetOrTimeSchedule(timetable=at("0 3 * * *"), assets=CORRECTED_DATA | DRIFT_ALARM),
    dagrun_timeout=timedelta(hours=6),
    params={
        "data": Param(None, type=["null", "string"], description="CSV or Parquet file; without one, the data of the project."),
        "text_column": Param(None, type=["null", "array", "string"], items={"type": "string"}, description="Columns with texts."),
        "label_column": Param(None, type=["null", "string"], description="Column that holds the class, of a file."),
        "seed": Param(0, type="integer", minimum=0, description="Of the splits and of the candidates."),
        "again": Param(False, type="boolean", description="Train although the same data, code and seed were trained on before."),
        "accept": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "enum": list(ACCEPTANCES)},
            examples=list(ACCEPTANCES),
            description="What a person accepts although it speaks against the version; takes a reason.",
        ),
        "reason": Param(None, type=["null", "string"], description="Why; it is written in the ledger."),
        "by": BY,
        **TARGET,
    },
    doc_md="From training to a checked service: every night, on corrected data, and on a drift alarm. "
    "A version that is not as good as the one in production, or that too few rows judge, ends the run as a success.",
    **COMMON,
) as flow:
    comparison = compare(train())
    version = register(comparison)
    promotion = promote(version)
    stays = champion_stays()
    candidate(comparison) >> [version, stays]
    passed = gate(promotion)
    to_service(promotion)
    passed >> [flow.get_task("import"), stays]

with DAG(
    "passerelle_rollback",
    schedule=None,
    dagrun_timeout=timedelta(hours=2),
    params={
        "version": Param(None, type=["null", "integer"], minimum=1, description="Without one, the version with the alias `previous`."),
        "reason": Param("", type="string", pattern=r"\S", description="Why; it is written in the ledger."),
        "by": BY,
        **TARGET,
    },
    doc_md="Puts a former version back into production, and serves it.",
    **COMMON,
):
    to_service(rollback())

with DAG(
    "passerelle_drift",
    schedule=at("0 6 * * *"),
    dagrun_timeout=timedelta(hours=3),
    params={"day": Param(None, type=["null", "string"], format="date", description="Last day that is looked at; without one, yesterday.")},
    doc_md="Compares yesterday's answers with the month before and with the training; an alarm starts the flow.",
    **COMMON,
):
    drift_alarm(drift())

with DAG(
    "passerelle_corrections",
    schedule=at("0 1 * * 1"),
    dagrun_timeout=timedelta(hours=2),
    params={"output": Param(".passerelle/corrections.csv", type="string", minLength=1, description="The table, CSV or Parquet.")},
    doc_md="Exports the corrected answers every Monday; a new table starts the flow.",
    **COMMON,
):
    export_corrections()

"""One command of passerelle in a task: what it prints, and what becomes of the code of its error."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

PROJECT = Path(__file__).resolve().parents[3]
#: What may be gone at the next attempt: a server that does not answer, another process in the way.
PASSING = frozenset({"outside", "busy"})
#: The stdout of the task's process, which Airflow keeps as the task's log.
_TASK_LOG = 1
#: Characters of a command's result in the log: that of a training has tens of thousands, all of which MLflow keeps.
_MOST_SHOWN = 4_000


def passerelle(*arguments: str, retried: Collection[str] = PASSING, results: Collection[str] = ()) -> dict[str, Any]:
    """Return the JSON object of a command of passerelle; what it prints about its progress is in the task's log.

    Args:
        retried: Codes of errors after which the task may be tried again.
        results: Codes of errors that are returned, under `error`.

    Raises:
        AirflowException: An error that may be gone at the next attempt, or the command was killed.
        AirflowFailException: Any other error.
    """
    project = Variable.get("passerelle_project", default=str(PROJECT))
    command = [Variable.get("passerelle_command", default=f"{project}/.venv/bin/passerelle"), *arguments, "--json"]
    print("$", *command, flush=True)  # noqa: T201 - the task's log
    # Airflow shows what comes by stderr as errors, which lines of progress are not.
    done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, stderr=_TASK_LOG, text=True, check=False)
    print(done.stdout[:_MOST_SHOWN], flush=True)  # noqa: T201
    if len(done.stdout) > _MOST_SHOWN:
        print(f"… {len(done.stdout) - _MOST_SHOWN:,} characters more", flush=True)  # noqa: T201
    if done.returncode < 0:
        raise AirflowException(f"{arguments[0]} was ended by signal {-done.returncode}")
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AirflowFailException(f"{arguments[0]} ended with {done.returncode} and without a result; see its messages above") from None
    error = found.get("error")
    if error is None or error["code"] in results:
        return found
    message = f"{error['code']}: {error['message']}" + (f"\nnext: {error['hint']}" if error["hint"] else "")
    raise (AirflowException if error["code"] in retried else AirflowFailException)(message)


def given(**options: object) -> list[str]:
    """Return options of a command; those that nobody gave are left out."""
    found: list[str] = []
    for name, value in options.items():
        if value not in (None, "", False):
            found += [f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", str(value)]
    return found

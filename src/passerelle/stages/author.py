"""The author of a ledger entry."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from urllib.parse import quote

_JOBS = ("GITHUB_RUN_ID", "CI_JOB_URL", "BUILD_URL")


def author(environment: Mapping[str, str]) -> str:
    """Return account@host for the ledger, with the CI job in front where there is one: `ci:JOB by account@host`.

    The account comes from the system, not from $LOGNAME, which can be set freely. A job's variables do too, so a job never stands
    without the account, and never as a person.

    Args:
        environment: Holds the job's variables.
    """
    account = f"{_account()}@{socket.gethostname()}"
    job = next((environment[variable] for variable in _JOBS if environment.get(variable)), None)
    # The name before the @ is looked up in the lists of the criteria.
    return f"ci:{quote(job, safe=':/')} by {account}" if job else account


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"

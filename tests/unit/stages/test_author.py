"""Who is named in the ledger, and who may waive: the account of the system, whatever the shell says."""

from __future__ import annotations

import os
import pwd
import socket

import pytest

from passerelle.criteria import Criteria
from passerelle.errors import RefusedError
from passerelle.gate.verdict import allow
from passerelle.stages.author import author

ACCOUNT = pwd.getpwuid(os.getuid()).pw_name
HERE = f"{ACCOUNT}@{socket.gethostname()}"
JOBS = ("GITHUB_RUN_ID", "CI_JOB_URL", "BUILD_URL")
ONLY_MARIE = Criteria.model_validate({"waivable": [{"check": "accuracy", "by": ["marie", "marie@bureau", "ci:7", "ci:marie"]}]})


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in JOBS:
        monkeypatch.delenv(name, raising=False)


def test_the_shell_does_not_decide_who_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "marie")
    assert author(os.environ) == HERE
    with pytest.raises(RefusedError, match="only by"):
        allow(ONLY_MARIE, ["accuracy"], who=author(os.environ), reason="as it is")


@pytest.mark.parametrize("forged", ["marie", "marie@bureau", "7", "7@ci", "7\nmarie@bureau"])
@pytest.mark.parametrize("variable", JOBS)
def test_a_job_that_anybody_can_claim_is_nobody_of_the_criteria(monkeypatch: pytest.MonkeyPatch, variable: str, forged: str) -> None:
    monkeypatch.setenv(variable, forged)
    named = author(os.environ)
    assert named.startswith("ci:")
    assert named.endswith(f" by {HERE}")
    assert named.count("@") == 1
    assert "\n" not in named
    with pytest.raises(RefusedError, match="only by"):
        allow(ONLY_MARIE, ["accuracy"], who=named, reason="as it is")


def test_a_jobs_address_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD_URL", "https://ci.example.org/job/7/")
    assert author(os.environ) == f"ci:https://ci.example.org/job/7/ by {HERE}"


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    assert author(os.environ) == f"uid-987654@{socket.gethostname()}"

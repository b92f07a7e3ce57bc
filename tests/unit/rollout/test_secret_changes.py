"""What reads a secret at its start is started again once the secret was changed, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import OutsideError
from passerelle.rollout import secret_changes
from passerelle.rollout.stack import Stack

SECRETS = {"setup": ("s3_mlflow",), "mlflow": ("mlflow_admin_password", "s3_mlflow"), "prober": ("mlflow_prober",), "proxy": ()}

START = ("up", "--detach", "--wait", *(name for name in SECRETS if name != "setup"))


@dataclass(frozen=True)
class StackInMemory(Stack):
    """Notes what compose is asked for."""

    calls: list[tuple[str, ...]] = field(default_factory=list)

    def must(self, *arguments: str, of: str, variables: Any = None) -> str:
        assert of
        assert variables is None
        if arguments[0] == "config":
            files = {name: {"file": str(self.secrets / name)} for names in SECRETS.values() for name in names}
            services = {name: {"secrets": [{"source": each} for each in names]} for name, names in SECRETS.items()}
            return json.dumps({"services": services, "secrets": files})
        self.calls.append(("start",) if arguments == START else arguments)
        if (self.folder / "fails").exists():
            raise OutsideError("it does not start")
        return ""

    def containers(self) -> dict[str, Any]:
        return {"mlflow": {}, "proxy": {}} if (self.folder / "ran").exists() else {}


@pytest.fixture
def stack(tmp_path: Path) -> StackInMemory:
    made = StackInMemory(tmp_path)
    made.secrets.mkdir()
    for name in {name for names in SECRETS.values() for name in names}:
        (made.secrets / name).write_text(f"first of {name}\n")
    return made


def started(stack: StackInMemory) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return what compose was asked for besides the start, and what was said."""
    said: list[str] = []
    stack.calls.clear()
    secret_changes.start(stack, START[3:], progress=said.append)
    assert ("start",) in stack.calls
    return list(stack.calls), said


AGAIN = ("up", "--detach", "--wait", "--no-deps", "--force-recreate")
SETUP = ("up", "--detach", "--no-deps", "--force-recreate", "setup")


def test_a_first_start_and_a_second_one_start_nothing_twice(stack: StackInMemory) -> None:
    assert started(stack) == ([("start",)], [])
    assert started(stack) == ([("start",)], [])
    assert (stack.secrets / ".in-use").stat().st_mode & 0o777 == 0o600
    assert "first of" not in (stack.secrets / ".in-use").read_text()


def test_what_reads_a_changed_password_is_started_again_once(stack: StackInMemory) -> None:
    started(stack)
    (stack.secrets / "mlflow_admin_password").write_text("second\n")
    assert started(stack) == (
        [("start",), (*AGAIN, "mlflow")],
        ["the secrets that these read at their start are others now: mlflow started again"],
    )
    assert started(stack) == ([("start",)], [])


def test_users_of_minio_get_their_passwords_before_anybody_comes_with_them(stack: StackInMemory) -> None:
    started(stack)
    (stack.secrets / "s3_mlflow").write_text("second\n")
    assert started(stack)[0] == [SETUP, ("start",), (*AGAIN, "mlflow")]


@pytest.mark.parametrize("record", [None, "{", "[]"])
def test_where_nobody_noted_the_secrets_all_that_reads_any_is_started_again(stack: StackInMemory, record: str | None) -> None:
    (stack.folder / "ran").touch()
    if record is not None:
        (stack.secrets / ".in-use").write_text(record)
    assert started(stack)[0] == [("start",), (*AGAIN, "mlflow")]
    assert started(stack)[0] == [("start",)]


def test_a_start_that_fails_forgets_no_change(stack: StackInMemory) -> None:
    started(stack)
    (stack.secrets / "mlflow_admin_password").write_text("second\n")
    (stack.folder / "fails").touch()
    with pytest.raises(OutsideError, match="does not start"):
        started(stack)
    (stack.folder / "fails").unlink()
    assert started(stack)[0] == [("start",), (*AGAIN, "mlflow")]

"""A restore that is broken off at any of its steps goes on at the next call: a real PostgreSQL and compose, the objects in memory."""

from __future__ import annotations

import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from passerelle.errors import OutsideError, UsageError
from passerelle.registry.objects import Objects
from passerelle.rollout import backup as module
from passerelle.rollout.backup import backup, restore
from passerelle.rollout.backup_database import StackDatabase
from passerelle.rollout.stack import Stack
from passerelle.rollout.swap import MLFLOW_ROLE, PSQL, marks

pytestmark = [pytest.mark.integration, pytest.mark.engine]

#: The steps of a restore that change something.
CHANGES = re.compile(r"DATABASE restoring|pg_restore|RENAME|before_restore|^stop mlflow|COMMENT ON|--wait mlflow")
COMPOSE = """
services:
  postgres:
    image: {image}
    stop_grace_period: 1s
    environment: {{POSTGRES_USER: mlflow, POSTGRES_DB: mlflow, POSTGRES_PASSWORD: of-this-test}}
    healthcheck:
      test: [CMD, pg_isready, --quiet, --host, 127.0.0.1, --username, mlflow, --dbname, mlflow]
      interval: 200ms
      retries: 300
  mlflow:
    image: {image}
    stop_grace_period: 0s
    entrypoint: [sleep, infinity]
"""
TABLES = "CREATE TABLE runs (name text); CREATE TABLE registered_models (name text); INSERT INTO runs VALUES ('of the backup')"


@dataclass(frozen=True)
class BreakingOff(Stack):
    """A stack in which one of the steps that change something is done, and then said to have failed.

    Attributes:
        left: How many such steps are done until then, alone in a list; nothing fails while it is empty.
    """

    left: list[int] = field(default_factory=list)

    def _breaks_off(self, arguments: tuple[str, ...]) -> bool:
        if not self.left or not CHANGES.search(" ".join(arguments)):
            return False
        self.left[0] -= 1
        return self.left[0] == 0

    def compose(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        done = super().compose(*arguments, **options)
        return subprocess.CompletedProcess(done.args, 1, "", "interrupted") if self._breaks_off(arguments) else done

    def pipe(self, *arguments: str, **files: Any) -> None:
        super().pipe(*arguments, **files)
        if self._breaks_off(arguments):
            raise OutsideError("interrupted")


class Bucket:
    """A bucket in memory."""

    def __init__(self, **held: bytes) -> None:
        self.held = dict(held)

    def keys(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(key for key in self.held if key.startswith(prefix)))

    def read(self, key: str, *, most_bytes: int) -> tuple[bytes, str]:
        assert len(self.held[key]) <= most_bytes
        return self.held[key], ""

    def stream(self, key: str) -> tuple[Any, int]:
        return io.BytesIO(self.held[key]), len(self.held[key])

    def upload(self, key: str, content: Any) -> None:
        self.held[key] = content.read()


@pytest.fixture
def stack(engine: str, tmp_path: Path) -> Iterator[BreakingOff]:
    """PostgreSQL with an empty database, and a container that stands for MLflow's."""
    if engine != "docker":
        pytest.skip("the stack needs Docker with compose")
    image = os.environ.get("POSTGRES_IMAGE", "postgres:17-trixie")
    (tmp_path / "compose.yaml").write_text(COMPOSE.format(image=image))
    # Not by `name:` in the file: a variable of whoever tests goes before it, and names a stack that is not for tests.
    started = BreakingOff(tmp_path, {"COMPOSE_PROJECT_NAME": f"passerelle-test-restore-{os.getpid()}"})
    try:
        started.must("up", "--detach", "--wait", of="starting PostgreSQL")
        started.must(*PSQL, "--command", f"CREATE ROLE {MLFLOW_ROLE}", of="making the role of MLflow")
        yield started
    finally:
        started.compose("down", "--volumes", "--timeout", "0")


def runs(stack: Stack) -> str:
    return stack.must(*PSQL, "--dbname", "mlflow", "--command", "SELECT name FROM runs", of="reading the runs").strip()


@contextmanager
def not_locked(*_: object) -> Iterator[Callable[[], None]]:
    yield lambda: None


def test_a_restore_goes_on_wherever_it_was_broken_off(stack: BreakingOff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "promotion_locks", not_locked)
    source, empty = (cast("Objects", Bucket(**held)) for held in ({"mlflow/a": b"a"}, {}))
    stack.must(*PSQL, "--dbname", "mlflow", "--command", TABLES, of="making what is backed up")
    archive = tmp_path / "backup.tar"
    made = backup(StackDatabase(stack), archive, objects=source, locks=source, who="test", progress=lambda _: None)
    for statement in ("DROP DATABASE mlflow", f"CREATE DATABASE mlflow OWNER {MLFLOW_ROLE}"):
        stack.must(*PSQL, "--command", statement, of="emptying the stack")
    # Until the names are changed, which is the seventh step, a call begins anew; after that, two steps are left that another call needs.
    for step in (*range(1, 8), 1, 2):
        stack.left[:] = [step]
        with pytest.raises(OutsideError, match="interrupted"):
            restore(stack, archive, objects=lambda _: empty)
        assert stack.left == [0]
        assert "mlflow" in marks(stack), "a database of this name is there at any time"
    stack.left.clear()
    assert restore(stack, archive, objects=lambda _: empty).digest == made.digest
    assert runs(stack) == "of the backup"
    assert marks(stack) == {"mlflow": "", "postgres": ""}
    with pytest.raises(UsageError, match="not empty"):
        restore(stack, archive, objects=lambda _: empty)

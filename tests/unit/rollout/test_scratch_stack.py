"""The stack that a backup is tried in: beside the one that runs, and gone afterwards whatever happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import IntegrityError, OutsideError
from passerelle.rollout.scratch_stack import scratch_stack
from passerelle.rollout.stack import Stack


@dataclass(frozen=True)
class StackInMemory(Stack):
    """Notes what compose is asked for, and of which project."""

    calls: list[tuple[str, ...]] = field(default_factory=list)

    def must(self, *arguments: str, of: str, **_: Any) -> str:
        self.compose(*arguments)
        if (self.folder / "fails").exists():
            raise OutsideError(f"{of} failed")
        return ""

    def compose(self, *arguments: str, **_: Any) -> Any:
        self.calls.append((self.values()["COMPOSE_PROJECT_NAME"], *arguments))


@pytest.fixture
def stack(tmp_path: Path) -> StackInMemory:
    return StackInMemory(tmp_path, overrides={"COMPOSE_PROJECT_NAME": "comments", "COMPOSE_PROFILES": "service", "MLFLOW_PORT": "5000"})


def test_a_backup_that_cannot_be_restored_leaves_no_scratch_stack_and_the_one_that_runs_alone(stack: StackInMemory) -> None:
    with pytest.raises(IntegrityError), scratch_stack(stack, progress=lambda _: None) as scratch:
        values = scratch.values()
        assert values["COMPOSE_PROFILES"] == "", "no replica, collector or backup runs there"
        assert len({"5000", *(values[name] for name in ("MLFLOW_PORT", "MINIO_PORT", "MINIO_CONSOLE_PORT"))}) == 4
        raise IntegrityError("an object is not what the manifest says")
    (name, *started), removed = stack.calls
    assert name.startswith("comments-drill-")
    assert started == ["up", "--detach", "--wait", "mlflow"]
    assert removed == (name, "down", "--volumes", "--timeout", "2")


def test_one_that_does_not_start_is_removed_too(stack: StackInMemory) -> None:
    (stack.folder / "fails").touch()
    with pytest.raises(OutsideError, match="starting a scratch stack failed"), scratch_stack(stack, progress=lambda _: None):
        pytest.fail("it does not run")
    assert [call[1] for call in stack.calls] == ["up", "down"]

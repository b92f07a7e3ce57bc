"""Put a backup into an empty stack, and check every object."""

from __future__ import annotations

from pathlib import Path

from passerelle.rollout.backup import BackupReport, restore
from passerelle.rollout.stack import find_stack
from passerelle.stages.backup import objects_of
from passerelle.stages.context import Context, Progress, silent, stage


@stage
def run(_: Context, path: Path, *, project: Path = Path(), dry_run: bool = False, progress: Progress = silent) -> BackupReport:
    """Put a backup into the stack that runs, which must be empty.

    Args:
        path: Of the backup's file.
        project: Root of the project, whose stack runs.

    Raises:
        NotFoundError: The project holds no stack.
        As `rollout.backup.restore`.
    """
    stack = find_stack(project)
    stack.check()
    return restore(stack, path, objects=objects_of(stack, "workbench"), dry_run=dry_run, progress=progress)

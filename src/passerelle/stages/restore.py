"""Put a backup into an empty stack, and check every object."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from passerelle.rollout.backup import BackupReport, restore
from passerelle.rollout.stack import find_stack
from passerelle.stages.backup import objects_of
from passerelle.stages.context import Context, Progress, silent, stage


@stage
def run(
    _: Context,
    path: Path,
    *,
    identity: Path | None = None,
    verify: bool = False,
    project: Path = Path(),
    dry_run: bool = False,
    progress: Progress = silent,
) -> BackupReport:
    """Put a backup into the stack that runs, which must be empty, or into a scratch one.

    Args:
        path: Of the backup's file.
        identity: File with the private key of one that is encrypted.
        verify: Whether it is restored into a scratch stack, which is removed afterwards.
        project: Root of the project, whose stack runs.

    Raises:
        NotFoundError: The project holds no stack.
        As `rollout.backup.restore`.
    """
    stack = find_stack(project)
    stack.check()
    objects = partial(objects_of, user="workbench")
    return restore(stack, path, objects=objects, identity=identity, verify=verify, dry_run=dry_run, progress=progress)

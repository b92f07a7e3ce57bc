"""Put a backup into an empty stack, and check every object."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from passerelle.rollout.backup import BackupReport, restore
from passerelle.rollout.backup_encryption import private_key
from passerelle.rollout.scratch_stack import scratch_stack
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
    # Before a scratch stack is started for nothing.
    private_key(path, identity)
    with scratch_stack(stack, progress=progress) if verify and not dry_run else nullcontext(stack) as target:
        return restore(target, path, objects=objects_of(target, "workbench"), identity=identity, dry_run=dry_run, progress=progress)

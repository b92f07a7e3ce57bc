"""Write the stack's database, artifacts and ledger to one file, or put them back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from passerelle.registry.objects import Objects
from passerelle.rollout.backup import BackupReport, backup
from passerelle.rollout.stack import Stack, find_stack
from passerelle.settings import S3Settings
from passerelle.stages.context import Context, Progress, silent, stage


@stage
def run(context: Context, path: Path | None = None, *, project: Path = Path(), progress: Progress = silent) -> BackupReport:
    """Back the stack up into a file.

    Args:
        path: Of the file; by default one that is named after the time.
        project: Root of the project, whose stack runs.

    Raises:
        NotFoundError: The project holds no stack.
        As `rollout.backup.backup`.
    """
    stack = find_stack(project)
    stack.check()
    chosen = path or Path(f"passerelle-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.tar")
    objects, locks = (objects_of(stack, user) for user in ("backup", "workbench"))
    return backup(stack, chosen, objects=objects, locks=locks, who=context.author, progress=progress)


def objects_of(stack: Stack, user: str) -> Objects:
    """Return the bucket as a user of the stack sees it: MLflow and the proxy may be down."""
    return Objects(S3Settings.read(stack.s3_environment(user)))

"""Write the stack's database, artifacts and ledger to one file, or put them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from passerelle.registry.objects import Objects
from passerelle.rollout.backup import BackupReport, backup
from passerelle.rollout.backup_database import StackDatabase
from passerelle.rollout.backup_encryption import make_identity
from passerelle.rollout.backup_rotation import backup_name
from passerelle.rollout.stack import Stack, find_stack
from passerelle.settings import S3Settings
from passerelle.stages.context import Context, Progress, silent, stage


@stage
def run(
    context: Context,
    path: Path | None = None,
    *,
    recipients: Sequence[str] = (),
    project: Path = Path(),
    progress: Progress = silent,
) -> BackupReport:
    """Back the stack up into a file.

    Args:
        path: Of the file; by default one that is named after the time.
        recipients: Public keys of age for which it is encrypted.
        project: Root of the project, whose stack runs.

    Raises:
        NotFoundError: The project holds no stack.
        As `rollout.backup.backup`.
    """
    stack = find_stack(project)
    stack.check()
    chosen = path or Path(backup_name(datetime.now(UTC), encrypted=bool(recipients)))
    objects, locks = (objects_of(stack, user) for user in ("backup", "workbench"))
    database = StackDatabase(stack)
    return backup(database, chosen, objects=objects, locks=locks, who=context.author, recipients=recipients, progress=progress)


@stage
def make_key(_: Context, path: Path) -> str:
    """Write a new private key for encrypted backups to a file, and return its public key.

    Raises:
        UsageError: There is such a file already.
    """
    return make_identity(path)


def objects_of(stack: Stack, user: str) -> Objects:
    """Return the bucket as a user of the stack sees it: MLflow and the proxy may be down."""
    return Objects(S3Settings.read(stack.s3_environment(user)))

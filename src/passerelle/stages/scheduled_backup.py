"""Backups without anybody's doing: one when the last is old enough, tried again when it failed, old ones removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from passerelle.errors import PasserelleError
from passerelle.registry.objects import Objects
from passerelle.rollout.backup import BackupReport, backup
from passerelle.rollout.backup_database import DumpFolder
from passerelle.rollout.backup_encryption import parsed_recipients
from passerelle.rollout.backup_metrics import BackupMetrics, serving
from passerelle.rollout.backup_rotation import Keep, backup_name, moment_of, outdated
from passerelle.stages.context import Context, Progress, silent, stage

#: Until a backup that failed is tried again.
_AGAIN_S = 300.0


@dataclass(frozen=True)
class Schedule:
    """Where backups are written, how often, for whom, and how many are kept.

    Attributes:
        folder: Of the backups.
        exchange: In which a container beside PostgreSQL writes dumps.
        recipients: Public keys of age; without any, backups are not encrypted.
    """

    folder: Path
    exchange: Path
    recipients: tuple[str, ...] = ()
    keep: Keep = field(default_factory=Keep)
    every_s: float = 86_400.0

    def due_in_s(self, now: datetime) -> float:
        """Return in how many seconds the next backup is due; a backup that is dated later than now counts as one of now."""
        moments = [moment for path in self.folder.glob("passerelle-*") if (moment := moment_of(path))]
        if not moments:
            return 0.0
        return max(0.0, self.every_s - max(0.0, (now - max(moments)).total_seconds()))


@stage
def run(context: Context, schedule: Schedule, *, progress: Progress = silent) -> BackupReport:
    """Make one backup, and remove those that are not kept; only after a good one is anything removed.

    Raises:
        As `rollout.backup.backup`.
    """
    name = backup_name(datetime.now(UTC), encrypted=bool(schedule.recipients))
    objects, place, keys = Objects(context.s3), schedule.folder / name, schedule.recipients
    database = DumpFolder(schedule.exchange)
    report = backup(database, place, objects=objects, locks=objects, who="scheduled backup", recipients=keys, progress=progress)
    for path in outdated(schedule.folder.glob("passerelle-*"), schedule.keep):
        path.unlink(missing_ok=True)
        progress(f"removed {path.name}")
    for sentence in report.broken_ledgers:
        progress(sentence)
    progress(f"{name} holds {report.objects} objects, {report.size_bytes:,} bytes")
    return report


def follow(
    context: Context,
    schedule: Schedule,
    *,
    port: int,
    progress: Progress = silent,
    ended: threading.Event | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Make backups until SIGTERM, and answer `/metrics` meanwhile.

    Raises:
        UsageError: A recipient is no public key: no backup could be made.
    """
    parsed_recipients(schedule.recipients)
    stopped = ended or _stopped_by_signals()
    if not schedule.recipients:
        progress("warning: BACKUP_RECIPIENTS names no public key; backups hold citizens' comments and are not encrypted")
    metrics = BackupMetrics(schedule.folder)
    with serving(metrics, port):
        while not stopped.wait(schedule.due_in_s(now())):
            try:
                run(context, schedule, progress=progress)
            except (PasserelleError, OSError) as error:
                metrics.failures += 1
                progress(f"no backup: {error}; tried again in {_AGAIN_S:.0f} s")
                stopped.wait(_AGAIN_S)


def _stopped_by_signals() -> threading.Event:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped

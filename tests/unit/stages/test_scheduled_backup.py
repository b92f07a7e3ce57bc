"""Backups on a schedule: when the next is due, what a failure leaves, and what Prometheus is told. No clock of this machine decides."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from passerelle.errors import OutsideError, UsageError
from passerelle.rollout.backup_database import DumpFolder
from passerelle.rollout.backup_metrics import BackupMetrics
from passerelle.rollout.backup_rotation import backup_name
from passerelle.stages import scheduled_backup
from passerelle.stages.context import context_of
from passerelle.stages.scheduled_backup import Schedule, follow

NOW = datetime(2026, 11, 26, 3, tzinfo=UTC)


def made(folder: Path, moment: datetime) -> Path:
    path = folder / backup_name(moment, encrypted=True)
    path.write_bytes(b"backup")
    return path


def test_the_next_is_due_when_the_newest_is_old_enough(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, tmp_path / "exchange")
    assert schedule.due_in_s(NOW) == 0
    made(tmp_path, NOW - timedelta(hours=30))
    assert schedule.due_in_s(NOW) == 0
    made(tmp_path, NOW - timedelta(hours=4))
    assert schedule.due_in_s(NOW) == 20 * 3_600
    # A clock that was a year ahead once does not end the backups: one is due a day from now.
    made(tmp_path, NOW + timedelta(days=365))
    assert schedule.due_in_s(NOW) == 86_400


def test_a_failure_is_counted_and_said_and_leaves_all_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, ended, lines = made(tmp_path, NOW - timedelta(days=400)), threading.Event(), list[str]()

    def failing(*_: object, **__: object) -> None:
        ended.set()
        raise OutsideError("S3 does not answer")

    monkeypatch.setattr(scheduled_backup, "run", failing)
    follow(context_of({}), Schedule(tmp_path, tmp_path), port=0, progress=lines.append, ended=ended, now=lambda: NOW)
    assert old.exists()
    assert lines[0].startswith("warning: BACKUP_RECIPIENTS names no public key")
    assert lines[1].startswith("no backup: S3 does not answer")


def test_a_recipient_that_is_no_key_ends_it_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no public key of age"):
        follow(context_of({}), Schedule(tmp_path, tmp_path, ("age1wrong",)), port=0, ended=threading.Event())


def figures_of(metrics: BackupMetrics) -> dict[str, float]:
    return {sample.name: sample.value for family in metrics.collect() for sample in family.samples}


def test_the_figures_are_of_the_newest_backup(tmp_path: Path) -> None:
    metrics = BackupMetrics(tmp_path)
    assert figures_of(metrics)["passerelle_backup_last_success_timestamp_seconds"] == 0
    made(tmp_path, NOW - timedelta(days=1))
    made(tmp_path, NOW)
    (tmp_path / "passerelle-notes.txt").write_text("of a person")
    metrics.failures = 2
    assert figures_of(metrics) == {
        "passerelle_backup_last_success_timestamp_seconds": NOW.timestamp(),
        "passerelle_backup_last_size_bytes": 6,
        "passerelle_backup_files": 2,
        "passerelle_backup_failures_total": 2,
    }


def answering(folder: Path, answer: str, content: bytes) -> threading.Thread:
    """Stand for the container beside PostgreSQL: answer the first request."""

    def run() -> None:
        for _ in range(500):
            for request in folder.glob("request.*"):
                token = request.suffix
                (folder / "origin").write_text("17\nabc123\n")
                (folder / f"{answer}{token}").write_bytes(content)
                return
            threading.Event().wait(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_dump_is_asked_for_and_taken_away(tmp_path: Path) -> None:
    thread = answering(tmp_path, "dump", b"PGDMP")
    database, target = DumpFolder(tmp_path), tmp_path / "copy"
    with target.open("wb") as file:
        database.dump(file)
    thread.join()
    assert target.read_bytes() == b"PGDMP"
    assert (database.origin().postgres, database.origin().mlflow_schema) == (17, "abc123")
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "origin"}


def test_a_dump_that_fails_and_one_that_nobody_makes_are_told_apart(tmp_path: Path) -> None:
    thread = answering(tmp_path, "failed", b"pg_dump: error: connection refused")
    with (tmp_path / "copy").open("wb") as file:
        with pytest.raises(OutsideError, match="the database was not dumped: pg_dump: error: connection refused"):
            DumpFolder(tmp_path).dump(file)
        thread.join()
        with pytest.raises(OutsideError, match="does the container backup-database run"):
            DumpFolder(tmp_path, wait_s=0).dump(file)
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "origin"}


@pytest.mark.parametrize("content", [None, b"psql: error", b"\xff"])
def test_a_dump_of_an_unknown_server_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "origin").write_bytes(content)
    with pytest.raises(OutsideError, match=r"PostgreSQL that made the dump is unknown: .*origin"):
        DumpFolder(tmp_path).origin()

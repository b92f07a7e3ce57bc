"""Which backups are kept: by days and weeks in which there is one, and never by what a clock says now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from passerelle.rollout.backup_rotation import Keep, backup_name, moment_of, outdated

BEGINNING = datetime(2026, 11, 2, 3, tzinfo=UTC)


def nightly(nights: int) -> list[Path]:
    return [Path(backup_name(BEGINNING + timedelta(days=night), encrypted=night % 2 == 0)) for night in range(nights)]


def test_the_newest_of_the_last_days_and_weeks_stay() -> None:
    backups = nightly(60)
    gone = set(outdated(backups, Keep(daily=7, weekly=4)))
    kept = [moment for each in backups if each not in gone and (moment := moment_of(each))]
    assert [each.date().isoformat() for each in kept] == [
        *("2026-12-13", "2026-12-20"),
        *("2026-12-25", "2026-12-26", "2026-12-27", "2026-12-28", "2026-12-29", "2026-12-30", "2026-12-31"),
    ]


def test_several_of_a_day_leave_the_newest() -> None:
    backups = [Path(backup_name(BEGINNING + timedelta(hours=hour), encrypted=True)) for hour in range(12)]
    assert set(backups) - set(outdated(backups, Keep())) == {backups[-1]}


def test_nothing_is_removed_while_none_are_made_and_other_files_are_none() -> None:
    backups = nightly(7)
    assert outdated([*backups, Path("passerelle-2026-13-99T000000Z.tar"), Path("notes.txt"), Path("state.tar")], Keep(7, 0)) == []
    assert outdated(backups, Keep(0, 0)) == backups[-2::-1], "the newest stays always"

"""Which backups of a folder are kept: by their names alone, which hold the time at which they were made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_NAME = re.compile(r"passerelle-(\d{4}-\d{2}-\d{2}T\d{6}Z)\.tar(?:\.age)?")
_TIME = "%Y-%m-%dT%H%M%SZ"


@dataclass(frozen=True)
class Keep:
    """How many backups are kept: the newest of each of the last days, and of each of the last weeks, in which there is one."""

    daily: int = 7
    weekly: int = 4


def backup_name(moment: datetime, *, encrypted: bool) -> str:
    """Return the name of a backup that is made now."""
    return f"passerelle-{moment.astimezone(UTC):{_TIME}}.tar{'.age' if encrypted else ''}"


def moment_of(path: Path) -> datetime | None:
    """Return when a backup was made; None of a file that `backup_name` did not name."""
    found = _NAME.fullmatch(path.name)
    try:
        return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def outdated(paths: Iterable[Path], keep: Keep) -> list[Path]:
    """Return the backups that are not kept; files of other names are none. The newest is kept always.

    A day or a week counts when there is a backup of it, so that nothing is removed while none are made.
    """
    dated = sorted(((moment, path) for path in paths if (moment := moment_of(path))), reverse=True)
    kept = {path for _, path in dated[:1]}
    periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (keep.daily, lambda moment: moment.date()),
        (keep.weekly, lambda moment: moment.isocalendar()[:2]),
    )
    for most, period in periods:
        newest: dict[object, Path] = {}
        for moment, path in dated:
            newest.setdefault(period(moment), path)
        kept |= set(list(newest.values())[:most])
    return [path for _, path in dated if path not in kept]

"""What to look at for drift, and what to write of it: known, and refused where it makes no sense, without importing what looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from passerelle.errors import UsageError, shell_word


@dataclass(frozen=True)
class DriftOptions:
    """What to look at.

    Attributes:
        day: ISO 8601; None for the last day that is over, in UTC.
        log: Folder of a prediction log, or `s3://BUCKET/PREFIX`; None for that of the settings.
        report: File that gets the page.
        language: Of the page; by default that of the settings.
        textfile: File that gets gauges for Prometheus.
        registered_model: Whose answers; None for that of the context.
    """

    day: str | None = None
    log: str | None = None
    report: Path | None = None
    language: Literal["fr", "en"] | None = None
    textfile: Path | None = None
    registered_model: str | None = None

    def check(self) -> None:
        """Check the day, the log and the folders of the files.

        Raises:
            UsageError: The day is none, or lies in the future; the log is no folder; or a file's folder does not exist.
        """
        if self.last_day > datetime.now(UTC).date():
            raise UsageError(f"{self.day} has not come yet", hint="passerelle drift")
        if self.log is not None and not self.log.startswith("s3://") and not Path(self.log).is_dir():
            message = f"{self.log} is no folder that could hold a prediction log"
            raise UsageError(message, hint="passerelle drift\npasserelle drift --log FOLDER")
        for path in (self.report, self.textfile):
            if path is not None and not path.absolute().parent.is_dir():
                raise UsageError(f"the folder of {path} does not exist", hint=f"mkdir -p {shell_word(path.parent)}")

    @property
    def last_day(self) -> date:
        """The day.

        Raises:
            UsageError: It is none.
        """
        if self.day is None:
            return datetime.now(UTC).date() - timedelta(days=1)
        try:
            return date.fromisoformat(self.day)
        except ValueError:
            raise UsageError(f"'{self.day}' is no day: YYYY-MM-DD", hint="passerelle drift --day 2026-01-31") from None

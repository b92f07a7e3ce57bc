"""The steps of a collection: lines to Parquet, Parquet to the bucket, several files of a day to one, and the oldest days away.

Each step leaves the log readable and complete: what is written is there before what it replaces is removed, and under a name that stands
for its content, so that a step that was interrupted does the same again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

from passerelle.errors import OutsideError
from passerelle.monitoring.prediction_log.arrow_rows import DamagedParquetError
from passerelle.monitoring.prediction_log.erasures import erased_ids, parsed_erasures
from passerelle.monitoring.prediction_log.lines import RejectedLine, parsed_lines, trees_of
from passerelle.monitoring.prediction_log.log_place import CLOSED, ERASURES, PARQUET, REJECTED, LogStore
from passerelle.monitoring.prediction_log.parquet_files import GatheredRows, joined, staging_folder, sweep_staging, take_out
from passerelle.monitoring.prediction_log.trees import TREES, day_in
from passerelle.monitoring.prediction_log.worker_files import blank_everywhere, close_of_dead_workers, log_files
from passerelle.stages.log_location import LogLocation

_DIGITS = 16
#: Trees whose rows are kept as long as texts are.
_OF_TEXTS = frozenset(tree.name for tree in TREES if tree.texts)


@dataclass(frozen=True)
class Collection:
    """What a collection did, or would do.

    Attributes:
        closed: Files of dead workers that were closed.
        files: Files of lines that became Parquet.
        rows: Rows of these, by tree.
        torn: Last lines without an end, which were left out.
        rejected: Lines that are no records, which are in `rejected/`.
        sent: Files that the bucket got.
        waiting: Files that wait for the bucket.
        joined: Days of a tree whose files became one.
        expired: Days of a tree that were kept long enough and removed.
        erased: Rows of erased answers that were found and removed.
        problem: Why the collection is not complete; None where it is.
    """

    closed: int = 0
    files: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    torn: int = 0
    rejected: int = 0
    sent: int = 0
    waiting: int = 0
    joined: int = 0
    expired: int = 0
    erased: int = 0
    problem: str | None = None
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return any((self.closed, self.files, self.sent, self.joined, self.expired, self.erased))


class Collector:
    """One collection.

    Args:
        location: Where the log is.
        today: In UTC.
        dry_run: Count, and change nothing.
    """

    def __init__(
        self, location: LogLocation, *, today: date, dry_run: bool = False, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        self._location, self._today, self._dry_run, self._progress = location, today, dry_run, progress
        self._counts: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._waiting = 0
        self._problem: str | None = None

    def collect(self) -> Collection:
        """Do all steps; where the bucket does not answer, those that need none."""
        for path in self._location.folder.rglob("*.part") if not self._dry_run else ():  # of a collection that was interrupted
            path.unlink()
        sweep_staging()
        self._counts["closed"] = close_of_dead_workers(self._location.folder, dry_run=self._dry_run)
        self._try(self._learn_erasures)
        self._convert()
        self._try(self._send)
        self._try(self._join)
        # A list of erased ids that came while files were sent may be older than they are there.
        self._try(self._learn_erasures)
        return self.expire()

    def expire(self) -> Collection:
        """Remove the days that were kept long enough, and return all that was done."""
        self._try(self._expire)
        return Collection(**dict(self._counts), rows=dict(self._rows), waiting=self._waiting, problem=self._problem, dry_run=self._dry_run)

    def _try(self, step: Callable[[], None]) -> None:
        """Do a step; a bucket that does not answer is reported, and tried again by the next collection."""
        try:
            step()
        except OutsideError as error:
            self._problem = self._problem or error.message

    def _learn_erasures(self) -> None:
        """Take the erased ids that another machine listed out of the folder and the bucket, and keep the list here.

        The list is kept last: an interrupted round begins again.
        """
        near, bucket = self._location.near, self._location.bucket
        if bucket is None:
            return
        known = set(near.names(f"{ERASURES}/"))
        for name in bucket.names(f"{ERASURES}/"):
            day = day_in(name)
            if name in known or day is None:
                continue
            with bucket.open(name) as file:
                content = file.read()
            ids = parsed_erasures(name, content)
            self._counts["erased"] += blank_everywhere(self._location.folder, ids, dry_run=self._dry_run).rows
            for store in self._location.stores:
                self._counts["erased"] += take_out(store, day, ids, dry_run=self._dry_run).rows
            if not self._dry_run and self._location.folder.is_dir():
                add_content(near, name, content)

    def _convert(self) -> None:
        for path in log_files(self._location.folder, CLOSED):
            if self._location.bucket is not None and self._backlog_bytes() > self._location.settings.log_backlog_bytes:
                limit = self._location.settings.log_backlog_bytes
                self._problem = self._problem or f"more than {limit:,} bytes wait for the bucket (PASSERELLE_LOG_BACKLOG_BYTES)"
                return
            self._convert_file(path)

    def _convert_file(self, path: Path) -> None:
        gathered = GatheredRows()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
            file.seek(0)
            for parsed in parsed_lines(file, trees_of(path.name)):
                gathered.add(parsed)
        self._counts.update(files=1, torn=gathered.torn, rejected=len(gathered.rejected))
        if self._dry_run:
            return
        stem = f"{path.stem}-{digest}"
        if gathered.rejected:
            add_content(self._location.near, f"{REJECTED}/{stem}.jsonl", rejected_content(gathered.rejected))
        self._rows.update(gathered.write(self._location.near, stem, lambda day: erased_ids(self._location.near, day)))
        path.unlink()
        self._progress(f"{path.name} is Parquet")

    def _backlog_bytes(self) -> int:
        found = (self._location.folder / PARQUET).rglob("*.parquet")
        return sum(path.stat().st_size for path in found)

    def _send(self) -> None:
        near, bucket = self._location.near, self._location.bucket
        if bucket is None:
            return
        names = near.names(f"{PARQUET}/")
        self._waiting = len(names)
        for name in names if not self._dry_run else ():
            bucket.add(name, self._location.folder / name)
            # Only now is the file in the bucket the one that counts.
            near.remove([name])
            self._counts["sent"] += 1
            self._waiting -= 1

    def _join(self) -> None:
        """Make one file of several where a day is over; in the bucket where there is one."""
        store = self._location.stores[-1]
        for tree in TREES:
            by_day: dict[date, list[str]] = {}
            for name in store.names(f"{tree.folder}/"):
                day = day_in(name)
                if day is not None and day < self._today:
                    by_day.setdefault(day, []).append(name)
            for day, names in sorted(by_day.items()):
                if len(names) < 2:  # noqa: PLR2004 - one is joined already
                    continue
                try:
                    self._counts["joined"] += self._dry_run or joined(store, tree, day, names, erased=erased_ids(self._location.place, day))
                except FileNotFoundError:  # another collector joins this day
                    continue
                except DamagedParquetError as error:  # the other days do not wait for it
                    self._problem = self._problem or error.message

    def _expire(self) -> None:
        for store in self._location.stores:
            for tree in TREES:
                self._expire_days(store, f"{tree.folder}/", self._first_day(of_texts=tree.name in _OF_TEXTS))
            self._expire_days(store, f"{ERASURES}/", self._first_day(of_texts=False))
        if not self._dry_run:
            oldest = self._first_day(of_texts=True)
            for path in (self._location.folder / REJECTED).glob("*.jsonl"):
                if datetime.fromtimestamp(path.stat().st_mtime, UTC).date() < oldest:
                    path.unlink(missing_ok=True)

    def _first_day(self, *, of_texts: bool) -> date:
        settings = self._location.settings
        return self._today - timedelta(days=settings.log_text_days if of_texts else settings.log_days)

    def _expire_days(self, store: LogStore, folder: str, first: date) -> None:
        """Remove the days before the first one that is kept, with what the place keeps of former versions."""
        days: dict[date, list[str]] = {}
        for name in store.names(folder):
            day = day_in(name)
            if day is not None and day < first:
                days.setdefault(day, []).append(name)
        for day, names in sorted(days.items()):
            self._counts["expired"] += 1
            if not self._dry_run:
                # Former versions first: without a file, nothing leads to the day any longer.
                store.remove_former(f"{folder}dt={day.isoformat()}/")
                store.remove(names)


def rejected_content(lines: Iterable[RejectedLine]) -> bytes:
    """Return the file of rejected lines: where each stood, why it is rejected, and what it holds."""
    records = ({"line": each.number, "reason": each.reason, "content": each.content.decode(errors="replace")} for each in lines)
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def add_content(store: LogStore, name: str, content: bytes) -> bool:
    """Write a new file of the log; return False, and change nothing, where the name is there already."""
    with staging_folder() as folder:
        path = folder / "content"
        path.write_bytes(content)
        return store.add(name, path)

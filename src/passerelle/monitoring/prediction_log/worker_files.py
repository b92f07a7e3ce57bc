"""The files that workers write: closed for those that died, and without the lines of erased answers."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from passerelle.monitoring.prediction_log.lines import trees_of
from passerelle.monitoring.prediction_log.log_place import CLOSED, OPEN, REJECTED
from passerelle.monitoring.prediction_log.parquet_files import RowsTakenOut

_ID = re.compile(rb'"prediction_id"\s*:\s*"([0-9a-f-]{36})"')
#: In a rejected line the id may stand anywhere.
_ANYWHERE = re.compile(rb"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})")


def log_files(log: Path, folder: str) -> list[Path]:
    """Return the files of lines in one of the folders, in order."""
    found = (log / folder).glob("*.jsonl")
    return sorted(path for path in found if trees_of(path.name) and path.is_file())


def close_of_dead_workers(log: Path, *, dry_run: bool = False) -> int:
    """Move the files of workers that died from `open` to `closed`, and return how many there were.

    A worker holds an exclusive lock on its file as long as it lives; the kernel releases it with the process.
    """
    closed = 0
    for path in log_files(log, OPEN):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                closed += 1
                if not dry_run:
                    (log / CLOSED).mkdir(mode=0o700, parents=True, exist_ok=True)
                    path.rename(log / CLOSED / path.name)
        except (BlockingIOError, FileNotFoundError):
            continue
        finally:
            os.close(handle)
    return closed


def blank_everywhere(log: Path, ids: Collection[str], *, dry_run: bool = False) -> RowsTakenOut:
    """Overwrite the lines of these answers in all files that are no Parquet: open, closed and rejected ones."""
    found = RowsTakenOut(set())
    # The closed ones are listed last: a worker may close a file meanwhile.
    for folder in (OPEN, CLOSED):
        for path in log_files(log, folder):
            found.add(blank_lines(path, ids, dry_run=dry_run))
    for path in sorted(each for each in (log / REJECTED).glob("*.jsonl") if each.is_file()):
        found.add(blank_lines(path, ids, anywhere=True, dry_run=dry_run))
    return found


def blank_lines(path: Path, ids: Collection[str], *, anywhere: bool = False, dry_run: bool = False) -> RowsTakenOut:
    """Overwrite the lines of these answers with spaces, in their place: a worker may go on appending to the file meanwhile.

    The text goes first and the id last, so that an interruption leaves a line that the next attempt finds.

    Args:
        anywhere: Whether the id may stand anywhere in a line, as in the file of rejected ones.
    """
    found = RowsTakenOut(set())
    try:
        opened = path.open("rb" if dry_run else "r+b", buffering=0)
    except FileNotFoundError:  # the worker closed it meanwhile: it is found among the closed files
        return found
    with opened as file:
        for offset, line in _lines(file.fileno()):
            whole = line.endswith(b"\n")
            if not whole and path.parent.name == OPEN:  # the worker is in the middle of it: found in the closed file
                continue
            hits = [hit for hit in (_ANYWHERE if anywhere else _ID).finditer(line) if hit[1].decode() in ids]
            if not hits:
                continue
            found.ids.update(hit[1].decode() for hit in hits)
            found.rows += 1
            if not dry_run:
                os.pwrite(file.fileno(), b" " * (len(line) - whole - hits[0].end()), offset + hits[0].end())
                os.pwrite(file.fileno(), b" " * hits[0].end(), offset)
        if found.rows and not dry_run:
            os.fsync(file.fileno())
    return found


def _lines(handle: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the content of each line that is there now."""
    offset = 0
    with open(handle, "rb", closefd=False) as file:
        for line in file:
            yield offset, line
            offset += len(line)

"""The files of one worker: whole lines at the end of one of them, which is renamed once it is closed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from passerelle.monitoring.prediction_log.log_place import CLOSED, OPEN

#: The two kinds of lines.
PREDICTIONS: Final = "predictions"
FEEDBACK: Final = "feedback"


class FileLimits(NamedTuple):
    """When a worker begins its next file."""

    most_bytes: int
    most_age_s: float


def worker_name(now_s: float) -> str:
    """Return the part of the files' names by which no two workers write the same file: start, host, process and a random number."""
    start = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    host = re.sub(r"[^A-Za-z0-9.]", "_", os.uname().nodename)[:64]
    return f"{start}-{host}-{os.getpid()}-{os.urandom(4).hex()}"


class LogFile:
    """The lines of one kind that one worker writes.

    An exclusive lock (`flock`) is on the file as long as the worker lives; whoever gets it renames the file of a dead one.

    Attributes:
        unwritten: Whole lines that are still to be written.

    Args:
        folder: Of the prediction log; made where it is not there.
        kind: `predictions` or `feedback`.
        worker: As `worker_name` returns it.
        wall_s: Seconds since 1970. The clock may be set back: names and order do not depend on it.
        steady_s: Seconds of a clock that is never set.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        worker: str,
        limits: FileLimits,
        *,
        wall_s: Callable[[], float] = time.time,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unwritten = b""
        self._folder, self._name = folder, f"{kind}-{worker}"
        self._limits = limits
        self._wall_s, self._steady_s = wall_s, steady_s
        self._number = 0
        self._handle: int | None = None
        self._identity = (0, 0)
        self._size_bytes = 0
        self._torn = False
        self._opened_s = self._opened_in = 0.0

    @property
    def path(self) -> Path:
        """Where the file lies while it is written; no two files of a worker have the same name, so that none replaces another."""
        return self._folder / OPEN / f"{self._name}-{self._number}.jsonl"

    def write(self) -> None:
        """Write the lines that are still to be written, at the end of the file.

        After an error `unwritten` begins with the line that was cut; the next write begins a line of its own.

        Raises:
            OSError: The disk does not take them.
        """
        while self.unwritten:
            handle = self._usable()
            data = b"\n" + self.unwritten if self._torn else self.unwritten
            count = os.write(handle, data)
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            self._size_bytes += count
            whole = data.rfind(b"\n", 0, count) + 1
            self._torn = whole != count
            self.unwritten = data[whole:]

    def close_when_due(self) -> None:
        """Close the file if it is as large or as old as it may be.

        Raises:
            OSError: It cannot be renamed.
        """
        if self._handle is None:
            return
        age_s = self._steady_s() - self._opened_s
        if self._size_bytes >= self._limits.most_bytes or age_s >= self._limits.most_age_s or self._opened_in != self._period():
            self.close()

    def close(self) -> None:
        """Rename the file, for good; what is written later goes to the next one.

        Raises:
            OSError: It cannot be renamed.
        """
        if self._handle is None:
            return
        if self._is_in_place():
            closed = self._folder / CLOSED
            closed.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.rename(closed / self.path.name)
        self._forget()

    def _period(self) -> float:
        """Return the number of the hour of the day, or of whatever a file may last: a new one begins a new file."""
        return self._wall_s() // self._limits.most_age_s

    def _usable(self) -> int:
        """Return the handle of the file; of a new one where nobody would find the former again."""
        if self._handle is not None and not self._is_in_place():
            self._forget()
        return self._open() if self._handle is None else self._handle

    def _is_in_place(self) -> bool:
        """Return whether the name still leads to the file that is open: the folder may have been removed, or made anew."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _open(self) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Nobody sees the file before it is locked.
        hidden = self.path.with_name(f".{self.path.name}")
        hidden.unlink(missing_ok=True)
        handle = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self.path)
            found = os.fstat(handle)
        except OSError:
            os.close(handle)
            raise
        self._handle, self._identity = handle, (found.st_dev, found.st_ino)
        self._size_bytes, self._torn = 0, False
        self._opened_s, self._opened_in = self._steady_s(), self._period()
        return handle

    def _forget(self) -> None:
        assert self._handle is not None  # noqa: S101 - the callers checked
        handle, self._handle = self._handle, None
        self._number += 1
        with contextlib.suppress(OSError):  # a disk that fails at this point keeps nothing that was not written before
            os.close(handle)

"""A file by which any worker asks the one that polls to do so now; it has no content."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_FILE = "poll"


def request_poll(folder: Path) -> None:
    """Ask for a poll; nothing happens where the folder cannot be written, and the next poll comes in its time."""
    with suppress(OSError):
        file = os.open(folder / _FILE, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # The kernel's own time stamp is the same for two requests within one tick, and goes back with the clock.
            now_ns = max(time.time_ns(), os.fstat(file).st_mtime_ns + 1)
            os.utime(file, ns=(now_ns, now_ns))
        finally:
            os.close(file)


def last_request(folder: Path) -> int:
    """Return a number that each request changes; 0 where none was made yet."""
    with suppress(OSError):
        return (folder / _FILE).stat().st_mtime_ns
    return 0

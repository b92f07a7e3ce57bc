"""How one worker asks the one that polls to do so at once: by touching a file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_NAME = "poll"


def request_poll(folder: Path) -> None:
    """Ask for a poll; nothing happens where the folder cannot be written, and the next poll comes in its time."""
    path = folder / _NAME
    with suppress(OSError):
        path.touch()
        os.utime(path)


def last_request(folder: Path) -> int:
    """Return when a poll was asked for last, in nanoseconds; 0 for never."""
    try:
        return (folder / _NAME).stat().st_mtime_ns
    except OSError:
        return 0

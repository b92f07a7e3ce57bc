"""How much the folder of the prediction log may hold, where nobody collects it."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from passerelle.monitoring.prediction_log.log_place import CLOSED, OPEN

#: Between two looks at the folder; what this worker writes meanwhile is added.
_LOOK_S = 10.0


class FolderRoom:
    """Keeps the folder from growing without end; other workers' lines are seen at the next look.

    Attributes:
        fault: Why there is no room; empty while there is.

    Args:
        folder: Of the prediction log.
        most_bytes: Of the files that workers write or have closed.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.fault = ""
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes = 0
        self._looked_s = float("-inf")

    def add(self, size_bytes: int) -> None:
        """Count what is written from here on."""
        self._bytes += size_bytes

    def has_room(self) -> bool:
        """Return whether more may be written.

        Raises:
            OSError: The folder cannot be read.
        """
        now = time.monotonic()
        if now - self._looked_s > _LOOK_S:
            self._looked_s, self._bytes = now, uncollected_bytes(self._folder)
        full = self._bytes >= self._most_bytes
        self.fault = f"{self._folder} holds {self._most_bytes} bytes that were not collected" if full else ""
        return not full


def uncollected_bytes(folder: Path) -> int:
    """Return the size of all files that workers write or have closed."""
    total = 0
    for part in (OPEN, CLOSED):
        with contextlib.suppress(FileNotFoundError), os.scandir(folder / part) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # collected meanwhile
                    total += entry.stat(follow_symlinks=False).st_size
    return total

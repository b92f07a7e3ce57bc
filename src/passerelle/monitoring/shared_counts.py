"""The file in which one worker keeps its counts for the others: a metric that cannot be kept there never fails a request."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client.mmap_dict import MmapedDict

_FIRST_BYTES: Final = 1 << 16
_FOLDER_MODE: Final = 0o700


class SharedCounts:
    """A stand-in for the library's mapped dictionary, whose file has all of its bytes on the disk before anything is written to them.

    The library maps files with holes. Where the disk is full, the first write to a hole ends the process with SIGBUS. Counts that have no
    room in the file stay in the memory of this process, where the other workers do not see them.

    Args:
        path: The file; its folder is made where it is gone.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        # Counts without room in the file, until there is room.
        self._only_here: dict[str, tuple[float, float]] = {}
        self._mapped = self._new_file(b"")
        _ALL.append(self)

    def read_value(self, key: str) -> tuple[float, float]:
        """Return the count and its time stamp, made at zero on first use."""
        if key in self._only_here:
            return self._only_here[key]
        if self._mapped is not None and self._has_room(self._mapped, key):
            value, timestamp = self._mapped.read_value(key)
            return float(value), float(timestamp)
        return self._only_here.setdefault(key, (0.0, 0.0))

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Keep a count that was read before."""
        if key in self._only_here or self._mapped is None:
            self._only_here[key] = (value, timestamp)
        else:
            self._mapped.write_value(key, value, timestamp)

    def close(self) -> None:
        """Close the file."""
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None

    def restore(self) -> None:
        """Write the file again where it is gone or could not be written, and move what was kept beside it into it."""
        if self._mapped is None or not self._path.exists():
            content = b"" if self._mapped is None else bytes(self._mapped._m[: self._mapped._used])
            # Without a new one the former goes on for this process; it only has no name any more.
            self._mapped = self._new_file(content) or self._mapped
        for key, (value, timestamp) in [*self._only_here.items()]:
            if self._mapped is not None and self._has_room(self._mapped, key):
                self._mapped.read_value(key)
                self._mapped.write_value(key, value, timestamp)
                del self._only_here[key]

    def _new_file(self, content: bytes) -> MmapedDict | None:
        """Return the file with this content, mapped; None where the folder or the file cannot be made."""
        try:
            self._path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, max(_FIRST_BYTES, os.fstat(file.fileno()).st_size, _power_of_two(len(content))))
                file.write(content)
            return MmapedDict(str(self._path))
        except OSError as error:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            _say_once(self._path.parent, error)
            return None

    def _has_room(self, mapped: MmapedDict, key: str) -> bool:
        """Return whether a count is in the file, or was given room there."""
        if key in mapped._positions:
            return True
        # An entry has its length, the key with at most 8 bytes of padding, the value and the time stamp.
        needed = mapped._used + 4 + len(key.encode()) + 8 + 16
        try:
            if needed > mapped._capacity:
                os.posix_fallocate(mapped._f.fileno(), 0, _power_of_two(needed))
        except OSError as error:
            _say_once(self._path.parent, error)
            return False
        return True


#: Of this process: one for each kind of metric.
_ALL: list[SharedCounts] = []
_REPORTED: set[Path] = set()


def restore_all() -> None:
    """Write each file of this process that is gone again."""
    for counts in _ALL:
        counts.restore()


def _say_once(folder: Path, error: OSError) -> None:
    if folder not in _REPORTED:
        _REPORTED.add(folder)
        message = f"metrics of this worker are not shared with the others: {folder}: {error.strerror}"
        print(message, file=sys.stderr, flush=True)  # noqa: T201 - the service's own log


def _power_of_two(size: int) -> int:
    return 1 << max(0, size - 1).bit_length()

"""Where the files of the log are: a folder, a bucket, or both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

#: Folders of the log. Workers write lines into the first and move full files into the second; the others are the collector's.
OPEN: Final = "open"
CLOSED: Final = "closed"
PARQUET: Final = "parquet"
ERASURES: Final = "erasures"
REJECTED: Final = "rejected"


class LogPlace(Protocol):
    """Files of the log by their names: paths relative to the log, such as `parquet/predictions/dt=2026-11-25/NAME.parquet`."""

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of all files below a folder, in order; none where there is no such folder."""

    def open(self, name: str) -> BinaryIO:
        """Return the file for reading, which can seek; it stays readable when the file is deleted.

        Raises:
            FileNotFoundError: There is none.
        """


class LogStore(LogPlace, Protocol):
    """A place whose Parquet files are written once, under a name that stands for their content, and removed."""

    def add(self, name: str, source: Path) -> bool:
        """Copy a file into the log; return False, and change nothing, where the name is there already.

        Raises:
            OutsideError: The place does not take it.
        """

    def remove(self, names: Iterable[str]) -> None:
        """Remove files with all that the place keeps of them; those that are not there count as removed."""

    def remove_former(self, folder: str) -> int:
        """Remove what the place keeps of files below the folder that were replaced or removed before, and return how many there were."""


class LogFolder:
    """The log in a folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of all files below a folder, in order, without those that are being written (`.part`)."""
        found = (self.path / folder).rglob("*")
        return sorted(path.relative_to(self.path).as_posix() for path in found if path.suffix != ".part" and path.is_file())

    def open(self, name: str) -> BinaryIO:
        """Return the file for reading."""
        return (self.path / name).open("rb")

    def add(self, name: str, source: Path) -> bool:
        """Copy a file into the log; it appears when it is whole and on the disk."""
        target = self.path / name
        if target.exists():
            return False
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        shutil.copyfile(source, part)
        part.chmod(0o600)
        _to_disk(part)
        part.replace(target)
        _to_disk(target.parent)
        return True

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and the folders of days that are empty then."""
        for name in names:
            path = self.path / name
            path.unlink(missing_ok=True)
            if path.parent.name.startswith("dt="):
                with suppress(OSError):  # it holds other files
                    path.parent.rmdir()

    def remove_former(self, folder: str) -> int:
        """Remove what an interruption left of a file that was being written; a folder keeps nothing else."""
        parts = list((self.path / folder).glob("*.part"))
        for path in parts:
            path.unlink(missing_ok=True)
        return len(parts)


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class JoinedPlaces:
    """Several places that are read as one; a name stands for the same content in each of them.

    Args:
        places: In the order in which a file moves through them, so that one that moves while they are listed is found in the next.
    """

    def __init__(self, *places: LogPlace) -> None:
        self._places = places

    def names(self, folder: str) -> Sequence[str]:
        """Return the names in all places, in order, each once."""
        return sorted({name for place in self._places for name in place.names(folder)})

    def open(self, name: str) -> BinaryIO:
        """Return the file from the first place that has it."""
        for place in self._places[:-1]:
            try:
                return place.open(name)
            except FileNotFoundError:
                continue
        return self._places[-1].open(name)

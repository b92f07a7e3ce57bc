"""Where the files of the log are: a folder, a bucket, or both."""

from __future__ import annotations

from collections.abc import Sequence
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

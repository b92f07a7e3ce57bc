"""The files that are scored and the folder that gets the result, on a disk or elsewhere."""

from __future__ import annotations

import csv
import io
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from passerelle.errors import DataError, OutsideError, shell_word

CHUNK_BYTES = 1 << 20
#: Python's own limit of a CSV cell, 128 KiB, holds for the whole process: longer than any row that is read.
_MOST_CELL_CHARACTERS = 1 << 30
#: What tables end in, and their formats.
FORMATS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class TableFile(Protocol):
    """One file of the input, as it was when it was listed; may be handed to another process."""

    @property
    def name(self) -> str:
        """Its path or address, as the output names it."""

    @property
    def size_bytes(self) -> int:
        """Its size when it was listed."""

    def open(self) -> BinaryIO:
        """Return its content, which can be read from any place.

        Raises:
            DataError: It was changed since it was listed, or is gone.
            OutsideError: Where it lies does not answer.
        """


class OutputFolder(Protocol):
    """Where files are written whole or not at all."""

    @property
    def name(self) -> str:
        """Its path or address."""

    def names(self) -> Sequence[str]:
        """Return the names of all files in it."""

    def read(self, name: str) -> bytes:
        """Return a file's content."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one step: whoever reads at any moment finds all of it or none."""


@dataclass(frozen=True)
class LocalFile:
    """A file on a disk.

    Attributes:
        changed_ns: When its content was changed last, in nanoseconds since 1970.
    """

    path: Path
    size_bytes: int
    changed_ns: int

    @classmethod
    def at(cls, path: Path) -> LocalFile:
        """Return the file as it is now.

        Raises:
            DataError: It cannot be read.
        """
        printable = str(path).encode("utf-8", "backslashreplace").decode()
        if printable != str(path):
            raise DataError(f"the name of {printable} is not UTF-8, and the output could not repeat it: rename the file")
        try:
            # A pipe would be waited for.
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                status = os.fstat(file.fileno())
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}", hint=f"ls -ld {shell_word(path)}") from error
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} is no file that can be read twice: a pipe or a device", hint=f"ls -ld {shell_word(path)}")
        return cls(path, status.st_size, status.st_mtime_ns)

    @property
    def name(self) -> str:
        """Its path, as it was given."""
        return self.path.as_posix()

    def open(self) -> BinaryIO:
        """Return its content.

        Raises:
            DataError: It was changed since it was listed, or is gone.
        """
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}", hint=f"ls -ld {shell_word(self.path)}") from error
        status = os.fstat(file.fileno())
        if (status.st_size, status.st_mtime_ns) != (self.size_bytes, self.changed_ns):
            file.close()
            raise DataError(f"{self.path} was changed while it was scored; score it into another folder")
        return file

    def check(self) -> None:
        """Check that what was read since `open` is what was listed.

        Raises:
            DataError: As `open`.
        """
        self.open().close()


@dataclass(frozen=True)
class LocalFolder:
    """A folder on a disk; made when the first file is written."""

    path: Path

    @property
    def name(self) -> str:
        """Its path, as it was given."""
        return self.path.as_posix()

    def names(self) -> Sequence[str]:
        """Return the names of all files in it, without those that an interrupted run left incomplete."""
        if not self.path.is_dir():
            return []
        found = (path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file())
        return sorted(name for name in found if not name.endswith(".part"))

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a file beside its place, wait until it is on the disk, and rename it.

        Raises:
            OutsideError: The folder cannot be written, or the disk is full; no incomplete file stays.
        """
        target = self.path / name
        # Processes of two containers have the same number; readers of a folder of tables leave out what begins with a dot.
        beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
            _sync(target.parent)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            message = f"{target} was not written: {error.strerror}; what is written so far is kept"
            raise OutsideError(message, hint=f"df -h {shell_word(self.path)}\nls -ld {shell_word(self.path)}") from error


def is_on_disk(output: OutputFolder) -> bool:
    """Return whether commands of a shell can look at the folder."""
    return isinstance(output, LocalFolder)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield what is left of a file, a piece at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def csv_rows(text: str, delimiter: str = ",", *, newline: str = "") -> Iterator[list[str]]:
    """Return the rows of CSV, whatever the length of their cells.

    Args:
        newline: What ends a line; by default a line feed, a carriage return, or both.
    """
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    return csv.reader(io.StringIO(text, newline=newline), delimiter=delimiter)

"""The bytes of a file of data, unpacked where it is gzip, within bounds; and its text."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path, PurePosixPath

from passerelle.errors import DataError, shell_word

#: Most bytes of a file, and of what it unpacks to: training holds all of it in memory, several times.
MOST_BYTES = 1 << 30
#: Most columns of a table; a spreadsheet has as many at most.
MOST_COLUMNS = 16_384
#: Most cells of a table that is not read by pandas.
MOST_CELLS = 50_000_000
OTHER_FILE = "passerelle train --data FILE"
_GZIP_MARK = b"\x1f\x8b"
_ENCODINGS_BY_MARK = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
SAVE_AS_CSV = "save the table as CSV UTF-8 (comma-separated)"


def content_of(path: Path) -> tuple[bytes, str]:
    """Return a file's content, unpacked where it is gzip, and the end of its name without `.gz`, in lower case.

    Raises:
        DataError: There is no such file, it cannot be read, is empty, or holds more than `MOST_BYTES`.
    """
    content = _beginning(path, MOST_BYTES + 1)
    check_size(path, len(content))
    end = PurePosixPath(path.name.lower().removesuffix(".gz")).suffix
    if content.startswith(_GZIP_MARK):
        content = _unpacked(path, content)
        if content.startswith(_GZIP_MARK):
            raise DataError(f"{path} is compressed twice: uncompress it once before", hint=OTHER_FILE)
    if not content.strip():
        raise DataError(f"{path} is empty", hint=OTHER_FILE)
    return content, end


def check_readable(path: Path) -> None:
    """Check that a file is there and can be read.

    Raises:
        DataError: There is no such file, it is a folder, or it cannot be read.
    """
    _beginning(path, 1)


def _beginning(path: Path, size: int) -> bytes:
    """Return so many bytes of a file at most; raises DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", hint=f"ls {shell_word(path.parent)}; {OTHER_FILE}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a file", hint=f"ls {shell_word(path)}; {OTHER_FILE}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint=f"ls -ld {shell_word(path)}") from error


def check_size(path: Path, size: int) -> None:
    """Check that a file, or what it unpacks to, can be held in memory.

    Raises:
        DataError: It cannot.
    """
    if size > MOST_BYTES:
        raise DataError(f"{path} holds more than {MOST_BYTES >> 20:,} MiB, the most that is read: give a sample", hint=OTHER_FILE)


def check_cells(path: Path, columns: int, rows: int = 0) -> None:
    """Check that a table has no more columns than a spreadsheet may have, and can be held in memory.

    Raises:
        DataError: It has more, or too many cells.
    """
    if columns > MOST_COLUMNS:
        raise DataError(f"{path} has {columns:,} columns, and {MOST_COLUMNS:,} are read at most", hint=OTHER_FILE)
    if columns * rows > MOST_CELLS:
        raise DataError(f"{path} has more than {MOST_CELLS:,} cells, the most that are read: give a sample", hint=OTHER_FILE)


def text_of(path: Path, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the content as text, in the encoding of its byte-order mark, else UTF-8, else Windows-1252, and what was assumed.

    Raises:
        DataError: It is in none of these encodings, or holds NUL characters.
    """
    mark = next((mark for mark in _ENCODINGS_BY_MARK if content.startswith(mark)), None)
    notes: tuple[str, ...] = ()
    try:
        if mark is not None:
            text = content.decode(_ENCODINGS_BY_MARK[mark])
            notes = (f"{path.name} starts with a byte-order mark; read as {_ENCODINGS_BY_MARK[mark].removesuffix('-sig').upper()}",)
        else:
            text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if mark is not None:
            raise _unknown_encoding(path) from error
        text, notes = _decode_windows(path, content), (f"{path.name} is not UTF-8; read as Windows-1252 (Latin-1)",)
    if "\x00" in text:
        raise DataError(f"{path} holds NUL characters: it is not a text file; {SAVE_AS_CSV}", hint=OTHER_FILE)
    return text, notes


def _unpacked(path: Path, content: bytes) -> bytes:
    """Return what a gzip file of one or several members holds."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(MOST_BYTES + 1)
    except (zlib.error, EOFError, OSError) as error:
        raise DataError(
            f"{path} is damaged: it cannot be unpacked as gzip to its end", hint=f"ls -l {shell_word(path)}; {OTHER_FILE}"
        ) from error
    check_size(path, len(unpacked))
    return unpacked


def _decode_windows(path: Path, content: bytes) -> str:
    if any(not line.isascii() and _is_utf8(line) for line in content.splitlines()):  # two encodings in one file
        raise _unknown_encoding(path)
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise _unknown_encoding(path) from error


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unknown_encoding(path: Path) -> DataError:
    return DataError(
        f"{path} is neither UTF-8 nor Windows-1252 (Latin-1) throughout",
        hint=f"iconv -f ENCODING -t UTF-8 {shell_word(path)} > utf8.csv; passerelle train --data utf8.csv",
    )

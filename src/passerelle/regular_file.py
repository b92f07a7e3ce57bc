"""Read a file that a person or another program may edit at any time, without waiting for ever and without filling the memory."""

from __future__ import annotations

import errno
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

#: Settings, keys and state are a few kilobytes.
MOST_BYTES: Final = 1_048_576
#: What a model's directory says of the model in JSON or YAML: its manifest names each file, its golden predictions hold records.
MOST_MODEL_BYTES: Final = 67_108_864


def open_regular_file(path: Path) -> BufferedReader:
    """Return a regular file, opened to read.

    A pipe, a device or a folder in its place is refused; opening a pipe would wait until somebody writes to it.

    Raises:
        OSError: It cannot be read, or is no regular file; `strerror` says which.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def read_regular_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: It cannot be read, is no regular file, or holds more than `most_bytes`; `strerror` says which.
    """
    with open_regular_file(path) as file:
        # `read` reserves all that it is asked for, so it is asked for no more than there is.
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, most_bytes) + 1)
        if size < len(content) <= most_bytes:  # it grew meanwhile
            content += file.read(most_bytes + 1 - len(content))
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it holds more than {most_bytes:,} bytes", str(path))
    return content


def read_json_file(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """Return what a JSON file holds.

    Raises:
        OSError: As `read_regular_file`.
        ValueError: It is not UTF-8, not JSON, or nested too deep.
    """
    try:
        return json.loads(read_regular_file(path, most_bytes))
    except RecursionError:
        raise ValueError("it is nested too deep") from None

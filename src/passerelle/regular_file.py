"""Read a file that a person or another program may edit at any time, without waiting for ever and without filling the memory."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, Final

#: Settings, keys and state are a few kilobytes.
MOST_BYTES: Final = 1_048_576


def read_regular_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file.

    A pipe, a device or a folder in its place is refused; opening a pipe would wait until somebody writes to it.

    Raises:
        OSError: It cannot be read, is no regular file, or holds more than `most_bytes`; `strerror` says which.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it holds more than {most_bytes:,} bytes", str(path))
    return content


def read_json_file(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        OSError: As `read_regular_file`.
        ValueError: It is not UTF-8, not JSON, or nested too deep.
    """
    try:
        return json.loads(read_regular_file(path))
    except RecursionError:
        raise ValueError("it is nested too deep") from None

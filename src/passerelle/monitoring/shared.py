"""The folder in which the workers of one service keep their counts for each other."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Not a setting: the process that starts the workers sets it for them.
_VARIABLE = "_PASSERELLE_METRICS_FOLDER"


def make_folder(workers: int) -> Path | None:
    """Make the folder, for workers that start from here on, and return it; None where a single one needs none.

    It is removed when this process ends.
    """
    if workers < 2:  # noqa: PLR2004 - a single worker shares nothing
        os.environ.pop(_VARIABLE, None)
        return None
    try:
        folder = tempfile.mkdtemp(prefix="passerelle-metrics-")
    except OSError as error:
        os.environ.pop(_VARIABLE, None)
        print(f"each worker shows its own metrics alone: {tempfile.gettempdir()}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        return None
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    os.environ[_VARIABLE] = folder
    return Path(folder)


def shared_folder() -> Path | None:
    """Return the folder that the process which started this worker made; None where there is none."""
    folder = os.environ.get(_VARIABLE)
    return Path(folder) if folder else None

"""A process with more open files than `select` can number, as a service with many connections is."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

_FILES = 1_100


@contextmanager
def many_open_files() -> Iterator[None]:
    """Let all files that are opened within have numbers of 1,024 and more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * _FILES)) if hard > 0 else 2 * _FILES, hard))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(_FILES)]
    try:
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

"""One rate limit for a service of several workers: the windows of all clients are in a file that they share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

#: A client's digest, when its window ends by the clock that is never set, and its requests in that window.
_SLOT: Final = struct.Struct("<16sdQ")
_SLOTS: Final = 4_096
#: A client is in one of so many slots, from the one that its digest names.
_PROBES: Final = 16
#: Has the requests of all clients that find no slot.
_SHARED_DIGEST: Final = b"\xff" * 16
_FILE_BYTES: Final = _SLOT.size * (_SLOTS + _PROBES + 1)
_LONGEST_LOCK_S: Final = 0.02
_LOOK_S: Final = 1.0
_FILE_NAME: Final = "rate-limits"


class Window(NamedTuple):
    """Where a client stands: requests in its window, this one included, and the seconds until it ends."""

    requests: int
    ends_in_s: float


class RateLimit:
    """Counts the requests of each client in windows of fixed length, which begin with a client's first request.

    While the file cannot be used, a worker counts for itself and allows its own part of the limit: all of them together allow no more.

    Args:
        amount: Most requests of a window.
        window_s: Length of a window.
        folder: Where the workers share the file; None for a single worker.
        workers: How many there are.
    """

    def __init__(self, amount: int, window_s: float, *, folder: Path | None = None, workers: int = 1) -> None:
        self.amount = amount
        self._window_s = window_s
        self._path = None if folder is None else folder / _FILE_NAME
        self._own_amount = amount if folder is None and workers == 1 else amount // workers
        self._own = bytearray(_FILE_BYTES)
        self._file: int | None = None
        self._looked_at = self._failed_at = float("-inf")
        self._reported = False

    def hit(self, client: str) -> tuple[bool, Window]:
        """Count a request; return whether it is allowed, and where the client stands."""
        digest = hashlib.blake2b(client.encode(), digest_size=16).digest()
        now = time.monotonic()
        if self._path is not None and now - self._failed_at >= _LOOK_S:
            try:
                window = self._hit_shared(self._path, digest, now)
            except OSError as error:
                self._failed_at = now
                self._report(error)
            else:
                return window.requests <= self.amount, window
        window = _counted(self._own, _first_slot(digest), digest, now, self._window_s)
        # Where each worker allows a part, a part under one request allows none.
        return window.requests <= self._own_amount, window

    def _hit_shared(self, path: Path, digest: bytes, now: float) -> Window:
        file = self._opened(path, now)
        first = _first_slot(digest)
        place, size = first * _SLOT.size, _PROBES * _SLOT.size
        with _locked(file):
            # The last slot of the file has the clients without one.
            table = bytearray(_read(file, size, place) + _read(file, _SLOT.size, _FILE_BYTES - _SLOT.size))
            before = bytes(table)
            window = _counted(table, 0, digest, now, self._window_s)
            changed = next(each for each in range(_PROBES + 1) if table[(at := _bytes_of(each))] != before[at])
            where = place + changed * _SLOT.size if changed < _PROBES else _FILE_BYTES - _SLOT.size
            if os.pwrite(file, table[_bytes_of(changed)], where) != _SLOT.size:
                raise OSError("the file of the rate limits was not written")
        return window

    def _opened(self, path: Path, now: float) -> int:
        """Return the file; one that was removed is made anew by the first worker that notices, with the counts that it had."""
        if self._file is not None and now - self._looked_at < _LOOK_S:
            return self._file
        former = self._file
        content = bytes(_FILE_BYTES) if former is None else _read(former, _FILE_BYTES, 0)
        self._looked_at = now
        try:
            self._file = _file_at(path, content)
        except OSError:
            # The workers that have the former file go on with it, though it has no name any more.
            if former is None:
                raise
            return former
        if former is not None:
            os.close(former)
        return self._file

    def _report(self, error: OSError) -> None:
        if not self._reported:
            self._reported = True
            message = f"each worker limits requests by itself, to {self._own_amount}: {self._path}: {error.strerror or error}"
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - the service's own log


def _first_slot(digest: bytes) -> int:
    return int.from_bytes(digest[:4], "little") % _SLOTS


def _bytes_of(slot: int) -> slice:
    return slice(slot * _SLOT.size, (slot + 1) * _SLOT.size)


def _counted(table: bytearray, first: int, digest: bytes, now: float, window_s: float) -> Window:
    """Count a request in its client's slot among those from `first` on, or in the last slot of the table where all are taken."""
    free: int | None = None
    for slot in range(first, first + _PROBES):
        owner, ends, requests = _SLOT.unpack_from(table, slot * _SLOT.size)
        if ends <= now:
            free = slot if free is None else free
        elif owner == digest:
            return _written(table, slot, (digest, ends, requests + 1), now)
    if free is not None:
        return _written(table, free, (digest, now + window_s, 1), now)
    last = len(table) // _SLOT.size - 1
    _, ends, requests = _SLOT.unpack_from(table, last * _SLOT.size)
    ends, requests = (now + window_s, 0) if ends <= now else (ends, requests)
    return _written(table, last, (_SHARED_DIGEST, ends, requests + 1), now)


def _written(table: bytearray, slot: int, content: tuple[bytes, float, int], now: float) -> Window:
    _SLOT.pack_into(table, slot * _SLOT.size, *content)
    return Window(content[2], content[1] - now)


def _file_at(path: Path, content: bytes) -> int:
    """Return the file, opened; where there is none, it is made whole before it has its name, so that one worker's file counts for all.

    Raises:
        OSError: It cannot be made, or is not as long as it has to be.
    """
    try:
        return _checked(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW))
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(file, 0, _FILE_BYTES)
        os.pwrite(file, content, 0)
        os.link(new, path)
    except FileExistsError:
        os.close(file)
        return _checked(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW))
    except OSError:
        os.close(file)
        raise
    finally:
        new.unlink(missing_ok=True)
    return file


def _checked(file: int) -> int:
    if os.fstat(file).st_size != _FILE_BYTES:
        os.close(file)
        raise OSError("the file of the rate limits has another size")
    return file


def _read(file: int, size: int, place: int) -> bytes:
    content = os.pread(file, size, place)
    if len(content) != size:
        raise OSError("the file of the rate limits was cut short")
    return content


@contextmanager
def _locked(file: int) -> Iterator[None]:
    """Lock the file; another worker has it for microseconds, unless it was stopped meanwhile, and nobody waits for that.

    Raises:
        OSError: Another worker keeps it.
    """
    ends = time.monotonic() + _LONGEST_LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > ends:
                raise
            os.sched_yield()
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)

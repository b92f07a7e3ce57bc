"""What the machine that a service runs on runs out of, and its clock."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from tests.follow import proxy
from tests.follow.followed import Followed, replica, until
from tests.follow.load import Load
from tests.follow.versions import large, table

_MORE_BYTES = 8 * 2**20
_PIECE_BYTES = 2**20


def disk_full(followed: Followed) -> None:
    """Fill the disk while a file is on its way; where no file system may be mounted, let no file grow over 128 KiB."""
    ref = followed.versions.padded(1, 200_000)
    if not followed.small_disk:
        with _limited([followed.replica.leader()], resource.RLIMIT_FSIZE, lambda _: 2**17):
            followed.promote(ref)
            followed.until_code("disk")
        followed.mended = time.monotonic()
        return
    filler = followed.replica.folder / "filler"

    def filling(_: str, ask: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        return replace(ask(), half_way=lambda: _fill(filler))

    with followed.fails(proxy.only("model-versions/get-artifact", filling)):
        followed.promote(ref)
        # The worker that polls knows; there is no room to tell the other one.
        until(lambda: followed.replica.following()["code"] == "disk", "code 'disk'", followed.replica.following)
        assert not os.statvfs(filler).f_bavail
        filler.unlink()


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(_PIECE_BYTES)):
            pass


def no_memory(followed: Followed) -> None:
    """Let no worker map 8 MiB more, and promote a version that needs 12."""
    before, ref = followed.wanted, followed.versions.register(followed.versions.logged(large(), *table(0)))
    with _limited(followed.replica.workers(), resource.RLIMIT_AS, lambda worker: worker.memory_info().vms + _MORE_BYTES):
        followed.promote(ref)
        followed.until_code("resources")
        assert followed.replica.answers_with(before.version)
    followed.versions.rollback()
    followed.wanted, followed.mended = before, time.monotonic()


@contextmanager
def _limited(workers: list[psutil.Process], kind: int, most: Callable[[psutil.Process], int]) -> Iterator[None]:
    """Set a soft limit of processes until the end."""
    for worker in workers:
        resource.prlimit(worker.pid, kind, (most(worker), resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for worker in workers:
            resource.prlimit(worker.pid, kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def clock_set_back(followed: Followed) -> None:
    """Set the clock of a replica's workers back by an hour; what it and the other one wrote so far comes from later then."""
    with replica(followed.folder / "clock", followed.store, followed.options, module="tests.follow.settable_clock") as other:
        load = Load(followed.versions.answers_file, followed.folder / f"clock-{time.monotonic_ns()}.txt", [other.service.address])
        try:
            for worker in other.workers():
                worker.send_signal(signal.SIGUSR1)
            for folder in (followed.replica.folder, other.folder):
                _come_from_later(folder)
            ref = followed.promote(followed.other())
            until(lambda: other.answers_with(ref.version), f"version {ref.version}", other.board.state)
        finally:
            load.stop()
        traffic = load.since(0)
        assert (traffic.failed, traffic.wrong) == (0, 0), traffic.statuses
        assert str(ref.version) in traffic.versions
    followed.mended = time.monotonic()


def _come_from_later(folder: Path) -> None:
    ahead = time.time() + 3_600
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (ahead, ahead))

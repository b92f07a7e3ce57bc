"""The files of one worker: rotation, clocks that are set, and lines that are cut by a disk that is full."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passerelle.monitoring.prediction_log.log_file import FileLimits, LogFile, worker_name

HOUR = 3_600.0


class Clocks:
    """A clock that is set and one that is not."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = 1_000 * HOUR, 50.0

    def pass_by(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def file(tmp_path: Path, clocks: Clocks) -> LogFile:
    return LogFile(tmp_path, "predictions", "w", FileLimits(100, HOUR), wall_s=lambda: clocks.wall_s, steady_s=lambda: clocks.steady_s)


def write(file: LogFile, *lines: str) -> None:
    file.unwritten += "".join(f"{line}\n" for line in lines).encode()
    file.write()
    file.close_when_due()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    """Let the kernel cut what goes beyond, as a full disk does."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_a_file_that_is_large_enough_is_closed_and_the_next_begun(file: LogFile, tmp_path: Path) -> None:
    write(file, "a" * 60)
    assert (names(tmp_path / "open"), names(tmp_path / "closed")) == (["predictions-w-0.jsonl"], [])
    write(file, "b" * 60)
    assert (names(tmp_path / "open"), names(tmp_path / "closed")) == ([], ["predictions-w-0.jsonl"])
    write(file, "c" * 200)
    assert names(tmp_path / "closed") == ["predictions-w-0.jsonl", "predictions-w-1.jsonl"]


@pytest.mark.parametrize(
    "later",
    [
        lambda clocks: clocks.pass_by(HOUR),
        lambda clocks: clocks.pass_by(-1.0),  # the clock is set back over the hour
        lambda clocks: setattr(clocks, "wall_s", clocks.wall_s + 30 * HOUR),
        lambda clocks: setattr(clocks, "steady_s", clocks.steady_s + HOUR),  # the clock is set back all the time
    ],
)
def test_a_file_lasts_an_hour_by_both_clocks(file: LogFile, clocks: Clocks, tmp_path: Path, later: Callable[[Clocks], None]) -> None:
    write(file, "first")
    clocks.pass_by(10.0)
    write(file, "second")
    clocks.pass_by(-10.0)
    assert names(tmp_path / "closed") == []
    later(clocks)
    file.close_when_due()
    write(file, "third")
    file.close()
    closed = [(tmp_path / "closed" / name).read_text() for name in names(tmp_path / "closed")]
    assert closed == ["first\nsecond\n", "third\n"]


def test_a_worker_without_answers_leaves_no_file(file: LogFile, clocks: Clocks, tmp_path: Path) -> None:
    clocks.pass_by(2 * HOUR)
    file.close_when_due()
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_cut_is_written_again_on_a_line_of_its_own(file: LogFile, tmp_path: Path) -> None:
    with no_file_larger_than(25):
        with pytest.raises(OSError, match="File too large"):
            write(file, "whole", "also whole", "cut in two")
        assert file.unwritten == b"cut in two\n"
        with pytest.raises(OSError, match="File too large"):
            file.write()
    write(file, "after")
    file.close()
    (name,) = names(tmp_path / "closed")
    assert (tmp_path / "closed" / name).read_text() == "whole\nalso whole\ncut in t\ncut in two\nafter\n"


def test_a_disk_that_takes_nothing_loses_nothing(file: LogFile, tmp_path: Path) -> None:
    with no_file_larger_than(0), pytest.raises(OSError, match="File too large"):
        write(file, "first")
    write(file, "second")
    file.close()
    assert (tmp_path / "closed" / "predictions-w-0.jsonl").read_text() == "first\nsecond\n"


def test_whoever_gets_the_lock_knows_that_the_worker_is_gone(file: LogFile, tmp_path: Path) -> None:
    write(file, "line")
    path = tmp_path / "open" / "predictions-w-0.jsonl"
    other = os.open(path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert file._handle is not None
    os.close(file._handle)  # as the kernel does when a process is killed
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


def test_a_file_that_was_taken_away_is_followed_by_one_of_another_name(file: LogFile, tmp_path: Path) -> None:
    write(file, "first")
    (tmp_path / "open" / "predictions-w-0.jsonl").rename(tmp_path / "taken")
    write(file, "second")
    assert names(tmp_path / "open") == ["predictions-w-1.jsonl"]


def test_no_two_workers_have_the_same_name() -> None:
    found = {worker_name(0.0) for _ in range(100)}
    assert len(found) == 100
    assert all(name.startswith("19700101T000000Z-") and f"-{os.getpid()}-" in name for name in found)

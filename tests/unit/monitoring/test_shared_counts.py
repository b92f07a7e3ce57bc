"""Counts of several workers, on a disk that is full and in a folder that somebody empties: no count fails, and each comes back."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from passerelle.monitoring import shared_counts
from passerelle.monitoring.shared_counts import SharedCounts, restore_all


@pytest.fixture(autouse=True)
def of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_counts, "_ALL", [])
    monkeypatch.setattr(shared_counts, "_REPORTED", set())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "counter_1.db"


def no_room(*_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A disk without room; what is undone in the context has room again."""

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_room)
        yield patch


def in_file(path: Path) -> dict[str, float]:
    return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(path))}


def key(number: int) -> str:
    return json.dumps(["name", "name", {"label": f"{number:0200}"}, "help"])


def count(counts: SharedCounts, name: str, value: float) -> None:
    counts.read_value(name)
    counts.write_value(name, value, 0.0)


def test_all_bytes_of_the_file_are_on_the_disk_before_a_count_is_written(path: Path) -> None:
    counts = SharedCounts(str(path))
    for number in range(1_000):
        count(counts, key(number), number)
        assert path.stat().st_blocks * 512 >= path.stat().st_size, "no hole, at which a full disk would end the process"
    assert path.stat().st_size > 1 << 16, "it has grown"
    assert in_file(path) == {key(number): number for number in range(1_000)}


def test_without_room_from_the_start_counts_stay_here_until_there_is(
    path: Path, full: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = SharedCounts(str(path))
    count(counts, "one", 1.0)
    count(counts, "two", 2.0)
    restore_all()
    assert counts.read_value("two") == (2.0, 0.0)
    assert not path.exists()
    expected = f"metrics of this worker are not shared with the others: {path.parent}: No space left on device\n"
    assert capsys.readouterr().err == expected, "said once"
    full.undo()
    restore_all()
    count(counts, "two", 3.0)
    assert in_file(path) == {"one": 1.0, "two": 3.0}


def test_a_count_that_finds_no_room_leaves_the_others_as_they_are(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = SharedCounts(str(path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_room)
        for number in range(1_000):
            count(counts, key(number), number)
        there = in_file(path)
        assert 100 < len(there) < 1_000
        assert there == {key(number): number for number in range(len(there))}
        assert counts.read_value(key(999)) == (999.0, 0.0)
    restore_all()
    assert in_file(path) == {key(number): number for number in range(1_000)}


def test_a_folder_that_was_emptied_or_removed_is_made_anew_with_all_counts(path: Path) -> None:
    counts = SharedCounts(str(path))
    count(counts, "one", 1.0)
    for remove in (path.unlink, lambda: shutil.rmtree(path.parent)):
        remove()
        count(counts, "one", counts.read_value("one")[0] + 1)
        restore_all()
        assert in_file(path) == {"one": counts.read_value("one")[0]}
    assert counts.read_value("one")[0] == 3.0
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_costs_no_count(path: Path) -> None:
    counts = SharedCounts(str(path))
    count(counts, "one", 1.0)
    shutil.rmtree(path.parent)
    path.parent.write_text("a file in its place")
    restore_all()
    count(counts, "one", 2.0)
    assert counts.read_value("one")[0] == 2.0

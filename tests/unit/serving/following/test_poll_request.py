"""A request to poll reaches the process that polls, whichever worker made it and however the clock is set."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from passerelle.serving.following.poll_request import last_request, request_poll


def test_a_request_is_seen_once(tmp_path: Path) -> None:
    assert last_request(tmp_path) == 0
    request_poll(tmp_path)
    seen = last_request(tmp_path)
    assert seen != 0
    assert last_request(tmp_path) == seen


@pytest.mark.parametrize("now_ns", [5, 4, 1])
def test_each_request_is_another_one_within_a_tick_and_after_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now_ns: int
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 2_000_000_000 * 10**9 + 5)
    request_poll(tmp_path)
    seen = last_request(tmp_path)
    assert seen == 2_000_000_000 * 10**9 + 5
    monkeypatch.setattr(time, "time_ns", lambda: 2_000_000_000 * 10**9 + now_ns)
    request_poll(tmp_path)
    assert last_request(tmp_path) == seen + 1


def test_the_file_is_private_and_empty_and_follows_no_link(tmp_path: Path) -> None:
    request_poll(tmp_path)
    (file,) = tmp_path.iterdir()
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert file.stat().st_size == 0
    file.unlink()
    target = tmp_path / "target"
    file.symlink_to(target)
    request_poll(tmp_path)
    assert not target.exists()


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        request_poll(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_folder_that_is_gone_asks_for_nothing(tmp_path: Path) -> None:
    request_poll(tmp_path / "gone")
    assert last_request(tmp_path / "gone") == 0

"""One limit for all workers of a service: what they share, and what becomes of it when it cannot be shared."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from passerelle.serving import rate_limit as module
from passerelle.serving.rate_limit import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    return clock


def workers(folder: Path, *, amount: int = 10, count: int = 2) -> list[RateLimit]:
    return [RateLimit(amount, 60, folder=folder, workers=count) for _ in range(count)]


def allowed(limits: list[RateLimit], times: int, client: str = "key a") -> int:
    """Return how many requests are allowed that go to the workers in turn."""
    return sum(limits[each % len(limits)].hit(client)[0] for each in range(times))


def test_all_workers_allow_one_limit_together(tmp_path: Path, clock: Clock) -> None:
    limits = workers(tmp_path, count=3)
    assert allowed(limits, 30) == 10
    assert allowed(limits, 30, "key b") == 10, "another client has a limit of its own"
    clock.now += 59.9
    assert allowed(limits, 3) == 0
    clock.now += 0.1
    assert allowed(limits, 30) == 10


def test_each_is_told_where_it_stands(tmp_path: Path, clock: Clock) -> None:
    first, second = workers(tmp_path)
    assert first.hit("key a") == (True, (1, 60.0))
    clock.now += 20
    assert second.hit("key a") == (True, (2, 40.0))


def test_a_worker_that_starts_again_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    assert allowed(workers(tmp_path), 8) == 8
    assert allowed(workers(tmp_path), 8) == 2


def test_a_file_that_was_removed_is_made_anew_with_its_counts(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "shared"
    limits = workers(folder)
    assert allowed(limits, 6) == 6
    (folder / "rate-limits").unlink()
    folder.rmdir()
    clock.now += 1.0
    assert allowed([limits[0]], 2) == 2
    assert allowed([limits[1], *workers(folder)], 9) == 2, "a worker that starts now counts in the same file"
    assert [each.name for each in folder.iterdir()] == ["rate-limits"]


def cut_short(path: Path) -> None:
    os.truncate(path, 100)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("damage", [cut_short, a_folder, a_link])
def test_while_the_file_cannot_be_used_each_worker_allows_its_part(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    allowed(workers(tmp_path), 1, "key b")
    damage(tmp_path / "rate-limits")  # type: ignore[operator]
    limits = workers(tmp_path)
    assert [allowed([each], 20) for each in limits] == [5, 5]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2, "each worker says so once"
    assert all(line.startswith(f"each worker limits requests by itself, to 5: {tmp_path}/rate-limits: ") for line in said)


def test_a_full_disk_takes_nobodys_limit_away(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    limits = workers(tmp_path)
    assert allowed(limits, 4) == 4
    monkeypatch.setattr(os, "posix_fallocate", full)
    (tmp_path / "rate-limits").unlink()
    clock.now += 2
    assert allowed(limits, 20) == 6, "who has the former file goes on with it"
    assert allowed(workers(tmp_path), 20) == 10
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_for_a_worker_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = RateLimit(10, 3_600, folder=tmp_path, workers=2)
    limit.hit("key b")
    waits: list[float] = []
    monkeypatch.setattr(os, "sched_yield", lambda: waits.append(0))
    monkeypatch.setattr(module, "_LONGEST_LOCK_S", 0.0)
    with (tmp_path / "rate-limits").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert sum(limit.hit("key a")[0] for _ in range(20)) == 5
        assert len(waits) <= 2, "it is tried once a second"


def test_more_clients_than_slots_share_one_limit(clock: Clock) -> None:
    limit = RateLimit(1, 60)
    refused = sum(not limit.hit(f"2001:db8:{each:x}::/64")[0] for each in range(6_000))
    assert refused > 1_000, "those without a slot share one"
    clock.now += 61
    assert limit.hit("2001:db8:0::/64") == (True, (1, 60.0))


def test_a_clock_that_is_set_changes_no_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The windows know the clock that nobody sets alone: `time` in the module has no other one here."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1_000.0))
    assert allowed(workers(tmp_path), 30) == 10

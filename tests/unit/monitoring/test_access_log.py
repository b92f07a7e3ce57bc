"""One line an access, written together, and never a reason to fail."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from passerelle.monitoring.access_log import AccessLog

TRACE = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path: Path, count: int = 1, *, wait_s: float = 0.0, **options: Any) -> None:
    async def run() -> None:
        for number in range(count):
            log.write("POST", "/classify", 200, 0.0012345, request_id=f"r{number}", **options)
        await asyncio.sleep(wait_s)

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    log = AccessLog(descriptor=descriptor)
    asyncio.run(run())
    if not wait_s and count == 1:
        assert path.read_text() == "", "lines are written together"
        log.flush()
    os.close(descriptor)


def test_a_line_says_what_was_asked_and_answered(tmp_path: Path) -> None:
    written(tmp_path / "log", traceparent=TRACE)
    (line,) = lines(tmp_path / "log")
    assert line.pop("time") > 1.7e9
    expected = {"method": "POST", "route": "/classify", "status": 200, "duration_ms": 1.234, "request_id": "r0", "trace_id": "a" * 32}
    assert line == expected


def test_what_is_no_trace_is_left_out(tmp_path: Path) -> None:
    for number, given in enumerate((None, b"", b"monsecret", TRACE + b"-more")):
        written(tmp_path / str(number), traceparent=given)
        assert "trace_id" not in lines(tmp_path / str(number))[0]


def test_lines_come_within_a_tenth_of_a_second_or_a_thousand_at_once(tmp_path: Path) -> None:
    written(tmp_path / "few", 3, wait_s=0.2)
    written(tmp_path / "many", 1_001)
    assert [len(lines(tmp_path / name)) for name in ("few", "many")] == [3, 1_000]


class FullDisk:
    """`os.write` on a disk with room for so many bytes; None for any number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int | None) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, descriptor: int, data: memoryview) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = self._write(descriptor, data[: self.room])
        self.room = None if self.room is None else self.room - count
        return count


@pytest.mark.parametrize("room", [0, 1, 40, 150, 10_000])
def test_lines_go_on_after_a_full_disk_with_the_count_of_those_that_were_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = AccessLog(descriptor=descriptor)

    async def write(names: list[str]) -> None:
        for name in names:
            log.write("POST", "/classify", 200, 0.001, request_id=name)
        log.flush()

    disk = FullDisk(monkeypatch, None)
    asyncio.run(write(["before"]))
    disk.room = room
    for number in range(3):
        asyncio.run(write([f"full-{number}-{place}" for place in range(40)]))
    disk.room = None
    asyncio.run(write(["after", "later"]))
    os.close(descriptor)
    read = []
    for line in path.read_text().splitlines():
        with suppress(ValueError):
            read.append(json.loads(line))
    names = [line["request_id"] for line in read if "request_id" in line]
    assert names[0] == "before"
    assert names[-2:] == ["after", "later"]
    lost = sum(line.get("lines_lost", 0) for line in read)
    assert len(names) - 3 + lost == 120, "each line was written whole, or counted"


def test_a_line_is_bounded_whatever_a_client_sends_as_its_method(tmp_path: Path) -> None:
    async def write() -> None:
        log.write("A" * 100_000, "/classify", 405, 0.0, request_id="r")
        log.flush()

    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    log = AccessLog(descriptor=descriptor)
    asyncio.run(write())
    os.close(descriptor)
    assert len((tmp_path / "log").read_bytes()) < 300


def test_a_reader_that_went_away_and_no_log_at_all_are_no_failure(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = AccessLog(descriptor=writing)

    async def run(of: AccessLog) -> None:
        of.write("GET", "/livez", 200, 0.0, request_id="r")
        of.flush()

    asyncio.run(run(log))
    asyncio.run(run(log))
    os.close(writing)
    asyncio.run(run(AccessLog(enabled=False)))

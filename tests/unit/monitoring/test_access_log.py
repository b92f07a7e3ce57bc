"""One line an access, written together, and never a reason to fail."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

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

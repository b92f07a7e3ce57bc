"""Write docs/following-faults.md from a run of all cases: `python -m tests.follow.fault_table`."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.follow.cases import CASES, Case
from tests.follow.followed import Followed, followed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "following-faults.md"
COMMAND = "FOLLOW_LONG_S=20 FOLLOW_SWAPS=20 .venv/bin/python -m tests.follow.fault_table"
_PLOT_COMMAND = ".venv/bin/python -m tests.follow.figures plot"
_HEAD = """# What a service that follows does when something fails

Each row was run against a real service of two workers that follows a real MLflow server, while four connections kept asking `/classify`.
Every answer was checked: its status is 200, and its label is what the version that it names gives on that text.
The service polled every 0.3 s. After a failure the pause doubles up to 30 s, which is most of the time in the rows that took long.
A request on a connection that broke without an answer was sent again on a new one, as a reverse proxy does.
The disk is a small file system that is filled to its last byte in the middle of a file, where the user may mount one; the memory limit is
`RLIMIT_AS` of both workers; the clock is set back in the processes of one replica and in the files of both, as the machine's is shared.

Twenty swaps, a point for each answer:

![Requests per second, p99 and version through twenty swaps](following-swaps.png)

The table and the picture are written by

{command}

{when} on {cores} cores that other work kept busy (load {load:.0f}).

| fault | what the service does | in step again after | requests | failed | wrong answers | connections broken |
|---|---|--:|--:|--:|--:|--:|
"""
_ROW = re.compile(r"^\| (?P<fault>[^|]+) \| (?P<does>[^|]+) \| [0-9.]+ s \|", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """What was seen of a case.

    Attributes:
        in_step_s: From the end of the fault to the wanted version from all workers.
    """

    case: Case
    in_step_s: float
    requests: int
    failed: int
    wrong: int
    broken: int


def carried_out(case: Case, service: Followed) -> Row:
    """Run a case, wait until the service is in step again, and return what became of the requests."""
    mark, service.mended = service.load.mark(), None
    case.run(service)
    in_step_s = service.until_in_step()
    time.sleep(0.1)
    traffic = service.load.since(mark)
    return Row(case, in_step_s, len(traffic.asked), traffic.failed, traffic.wrong, traffic.broken)


def page(lines: Sequence[str], load: float) -> str:
    """Return the page of these rows."""
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    return _HEAD.format(command=f"```\n{COMMAND}\n{_PLOT_COMMAND}\n```", when=when, cores=os.cpu_count(), load=load) + "".join(lines)


def _line(row: Row) -> str:
    case, figures = row.case, f"{row.in_step_s:.1f} s | {row.requests:,} | {row.failed} | {row.wrong} | {row.broken}"
    return f"| {case.fault} | {case.does} | {figures} |\n"


def rows_of(text: str) -> list[tuple[str, str]]:
    """Return fault and behaviour of each row of the page."""
    return [(found["fault"], found["does"]) for found in _ROW.finditer(text)]


def main(*words: str) -> None:
    """Run all cases, or those with one of these words, and write their rows into the page.

    Raises:
        AssertionError: A case went otherwise than its row says; the page has the rows of all others.
    """
    former = PAGE.read_text(encoding="utf-8").splitlines(keepends=True) if words else []
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in former if _ROW.match(line)}
    load, otherwise = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory(prefix="passerelle-") as folder, followed(Path(folder)) as service:
        service.hurries = False
        for case in (case for case in CASES if not words or any(word in case.fault for word in words)):
            try:
                lines[case.fault] = _line(carried_out(case, service))
                print(lines[case.fault], end="", flush=True)  # noqa: T201
            except AssertionError as error:
                otherwise.append(f"{case.fault}: {error}")
                print(otherwise[-1], flush=True)  # noqa: T201
                service.promote(service.other())
            PAGE.write_text(page([lines[each.fault] for each in CASES if each.fault in lines], load), encoding="utf-8")
    assert not otherwise, "\n".join(otherwise)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Millions of requests, each with another text: memory, descriptors and threads of the service stay flat, and none fails.

    python -m loadtests.soak                            ten million requests, spread over an hour
    python -m loadtests.soak --requests 2000000 --seconds 600

Rounds of ten seconds, with pauses between them where the service answers faster than that asks for. Ends after so many requests, or
twice the seconds, or SIGTERM, and then after the round that is running; with 1 where memory leaves ± 8 MiB after the first minute,
where descriptors or threads grow, where a request failed, or where a round gave no result. However it ends, it writes what it has:
`loadtests/results/soak-requests-….csv`, `.json` and `.svg`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import psutil

from loadtests.bench.load import parsed
from loadtests.machine import describe_machine
from passerelle.errors import OutsideError
from tests.service_fixtures import serve, write_store

RESULTS = Path(__file__).resolve().parent / "results"
SCRIPT = Path(__file__).with_name("wrk_texts.lua")
ROUND_S, CONNECTIONS = 10, 8
MOST_MIB, MOST_MORE = 8.0, 4
#: Seconds whose median everything later is held against.
BASE_S = 10.0
#: Most rows of a table, so that an hour's can be kept beside the code.
MOST_LOOKS = 1_200
#: Rounds without a result, one after the other, that end the run: the service is gone.
MOST_LOST = 5


@dataclass(frozen=True)
class Look:
    """What the service's processes had at a moment; memory that they share counts once."""

    second: float
    requests: int
    memory_mib: float
    descriptors: int
    threads: int


@dataclass
class Soak:
    """What is known of a run so far.

    Attributes:
        counts: Requests of each round that were answered.
        lost: Why a round gave no result, for each that gave none.
    """

    looks: list[Look] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    failed: float = 0.0
    lost: list[str] = field(default_factory=list)

    def broken(self, warm_s: float) -> list[str]:
        """Return a line for each limit that was not kept."""
        lost = [f"{len(self.lost)} rounds gave no result: {self.lost[0]}"] if self.lost else []
        return broken(self.looks, self.failed, warm_s) + lost

    def add_round(self, address: str) -> bool:
        """Send for a round; return whether there is any use in another one."""
        try:
            count, wrong = sent(address, len(self.counts))
        except (OutsideError, subprocess.TimeoutExpired) as error:  # a client that was stopped for a minute, say
            self.lost.append(str(error))
            count, wrong = 0, 0.0
        self.counts.append(count)
        self.failed += wrong
        return any(self.counts[-MOST_LOST:]) or len(self.counts) < MOST_LOST


def looked_at(pid: int, second: float, requests: int) -> Look:
    """Return what a process and its descendants have now."""
    leader = psutil.Process(pid)
    processes = [leader, *leader.children(recursive=True)]
    memory = sum(each.memory_full_info().pss for each in processes) / 2**20
    return Look(
        round(second, 1),
        requests,
        round(memory, 2),
        sum(each.num_fds() for each in processes),
        sum(each.num_threads() for each in processes),
    )


def broken(looks: Sequence[Look], failed: float, warm_s: float) -> list[str]:
    """Return a line for each limit that was not kept."""
    base = [each for each in looks if warm_s <= each.second < warm_s + BASE_S]
    later = [each for each in looks if each.second >= warm_s]
    if not base:
        return [f"the run ended before its first {warm_s:.0f} seconds were over: nothing can be said of memory"]
    middle = statistics.median(each.memory_mib for each in base)
    off = max((each.memory_mib - middle for each in later), key=abs)
    lines = [f"memory went {off:+.1f} MiB from where it was after {warm_s:.0f} s"] if abs(off) > MOST_MIB else []
    for name in ("descriptors", "threads"):
        more = max(getattr(each, name) for each in later[-10:]) - max(getattr(each, name) for each in base)
        lines += [f"{more} more {name} at the end"] if more > MOST_MORE else []
    return lines + ([f"{failed:.0f} requests failed"] if failed else [])


def sent(address: str, seed: int) -> tuple[int, float]:
    """Send for a round; return how many requests were answered, and how many failed."""
    command = [
        str(shutil.which("wrk")),
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{ROUND_S}s",
        "--timeout",
        "30s",
        "-s",
        str(SCRIPT),
        f"{address}/classify",
    ]
    environment = dict(os.environ) | {"SEED": str(seed)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ROUND_S + 60, check=False)
    found = parsed(done.stdout, done.stderr)
    return round(found.requests_per_s * ROUND_S), found.errors


@contextmanager
def watched(pid: int, soak: Soak, pause_s: float) -> Iterator[None]:
    """Look at the process again and again while the body runs."""
    ends, began = threading.Event(), time.monotonic()

    def watch() -> None:
        while not ends.wait(pause_s):
            with suppress(psutil.Error):  # a process that ended meanwhile
                soak.looks.append(looked_at(pid, time.monotonic() - began, sum(soak.counts)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join(10)


def run(soak: Soak, *, requests: int, seconds: float, workers: int) -> None:
    """Send so many requests in so many seconds, or more where it answers slower."""
    told_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())
    pause_s = max(1.0, seconds / MOST_LOOKS)
    with tempfile.TemporaryDirectory(prefix="passerelle-") as folder:
        home = write_store(Path(folder) / "bentoml")
        with serve(home, workers=str(workers), access_log="false") as service, watched(service.child.pid, soak, pause_s):
            began, goes_on = time.monotonic(), True
            while goes_on and sum(soak.counts) < requests and time.monotonic() - began < 2 * seconds and not told_to_end.is_set():
                goes_on = soak.add_round(service.address)
                told_to_end.wait(max(0.0, seconds * sum(soak.counts) / requests - (time.monotonic() - began)))


def plot(looks: Sequence[Look], path: Path) -> None:
    """Draw memory, descriptors and threads over time."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    for axis, name in zip(axes, ("memory_mib", "descriptors", "threads"), strict=True):
        axis.plot([each.second / 60 for each in looks], [getattr(each, name) for each in looks])
        axis.set_ylabel(name.replace("_mib", ", MiB"))
        axis.set_ylim(bottom=0)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path)


def write(soak: Soak, folder: Path, warm_s: float) -> list[str]:
    """Write the results, print a line, and return what was not kept."""
    wrong, count, now = soak.broken(warm_s), sum(soak.counts), datetime.now(UTC)
    path = folder / f"soak-requests-{now:%Y-%m-%dT%H%M%SZ}.json"
    content = {"date": now.isoformat(timespec="seconds"), "machine": describe_machine("bentoml", "uvicorn"), "requests": count}
    content["seconds"] = soak.looks[-1].second if soak.looks else 0.0
    path.write_text(json.dumps({**content, "failed": soak.failed, "lost": soak.lost, "broken": wrong}, indent=1) + "\n", encoding="utf-8")
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [each.name for each in fields(Look)])
        table.writeheader()
        table.writerows(asdict(each) for each in soak.looks)
    plot(soak.looks, path.with_suffix(".svg"))
    later = [each.memory_mib for each in soak.looks if each.second >= warm_s] or [0.0]
    memory = f"memory {min(later):.1f} to {max(later):.1f} MiB after {warm_s:.0f} s"
    sys.stdout.write(f"{count:,} requests, {soak.failed:.0f} failed; {memory}; " + ("; ".join(wrong) or "all kept") + "\n")
    return wrong


def main() -> int:
    """Run, write the results however it ends, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=3_600.0)
    parser.add_argument("--warm-seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    soak = Soak()
    try:
        run(soak, requests=options.requests, seconds=options.seconds, workers=options.workers)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
    finally:
        wrong = write(soak, options.results, options.warm_seconds)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

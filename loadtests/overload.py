"""Four times what the service can do: what is admitted stays quick, the rest is told at once to come back, memory stays flat.

    make overload                    ten minutes; ends with 1 when a limit is not kept, and writes loadtests/results/
    make overload LOAD_SECONDS=60

Where there are two cores or more, the client has the last one to itself: what it waits for its own turn would count as the service's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from loadtests.locust.thresholds import growth_mib
from loadtests.machine import describe_machine, resident_mib
from tests.e2e.rate import send_at
from tests.service_fixtures import ServedModel, serve, write_store

RESULTS = Path(__file__).resolve().parent / "results"
PLACES = 8
#: One place is kept for short requests, and these are long.
LONG_PLACES = PLACES - 1
TIMES = 4
#: As often is the memory looked at, however long it takes: a short run is judged by as much.
LOOKS = 30


@dataclass(frozen=True)
class Overload:
    """What came of it.

    Attributes:
        capacity_per_s: Requests answered a second when as many clients as there are places for long texts ask one thing after the other.
        statuses: How often each status came at `TIMES` the capacity.
        told_ms: Median time to a 503.
        memory_mib: Resident, of all processes of the service, at `LOOKS` moments of the overload.
    """

    seconds: float
    capacity_per_s: float
    capacity_p99_ms: float
    answered_per_s: float
    p99_ms: float
    statuses: Mapping[int, int]
    told_ms: float
    memory_mib: Sequence[float]

    @property
    def grown_mib(self) -> float:
        """How much the median of the last third is over that of the first; not a number where there was too little to see it."""
        growth = growth_mib(self.memory_mib)
        return math.nan if growth is None else growth

    def line(self) -> str:
        """Return it for people."""
        times = self.p99_ms / self.capacity_p99_ms
        parts = (
            f"at capacity {self.capacity_per_s:.0f} requests/s, p99 {self.capacity_p99_ms:.0f} ms",
            f"{self.seconds:.0f} s at {TIMES} times that: {self.answered_per_s:.0f} answered/s",
            f"p99 {self.p99_ms:.0f} ms, {times:.2f} times the other",
            f"{self.statuses.get(503, 0)} told to come back in {self.told_ms:.0f} ms (median)",
            f"memory {self.grown_mib:+.1f} MiB",
        )
        return "; ".join(parts)

    def broken(self) -> list[str]:
        """Return a line for each limit that was not kept."""
        limits = {
            "something else than 200 and 503 was answered": set(self.statuses) <= {200, 503},
            "p99 of what was admitted is over twice that at capacity": self.p99_ms < 2 * self.capacity_p99_ms,
            "who is told to come back waits for it": self.told_ms < self.capacity_p99_ms,
            "memory grew by 16 MiB or more, or was not seen": self.grown_mib < 16,  # noqa: PLR2004
        }
        return [said for said, kept in limits.items() if not kept]


def overload(service: ServedModel, *, seconds: float, at_capacity_s: float = 5.0) -> Overload:
    """Measure the capacity of a service with `PLACES` places, then send `TIMES` as much."""
    requests = long_requests()
    asyncio.run(send_at(service.address, requests, rate=None, seconds=1.0, connections=LONG_PLACES))
    before = asyncio.run(send_at(service.address, requests, rate=None, seconds=at_capacity_s, connections=LONG_PLACES))
    capacity = before.statuses[200] / at_capacity_s
    with memory_watched(service, seconds / LOOKS) as memory:
        over = asyncio.run(send_at(service.address, requests, rate=TIMES * capacity, seconds=seconds, connections=8 * PLACES))
    told = median(over.refused_seconds) * 1_000 if over.refused_seconds else 0.0
    return Overload(seconds, capacity, before.p99_ms, over.statuses[200] / seconds, over.p99_ms, dict(over.statuses), told, memory)


def long_requests() -> list[bytes]:
    """Return requests with texts so long that the model, not this client, is what there is too little of."""
    letters = random.Random(7)  # noqa: S311 - for texts
    texts = [" ".join("".join(letters.choices("abcdefghijklmnopqrstuvwxyzéè", k=7)) for _ in range(2_400)) for _ in range(20)]
    bodies = [json.dumps({"text": text}, ensure_ascii=False).encode() for text in texts]
    head = "POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    return [head.format(len(body)).encode() + body for body in bodies]


@contextmanager
def memory_watched(service: ServedModel, every_s: float) -> Iterator[list[float]]:
    """Note the service's resident memory, in MiB, now and then as long as the body runs."""
    ended, noted = threading.Event(), list[float]()

    def note() -> None:
        while not ended.wait(every_s):
            noted.append(resident_mib(service.child.pid))

    watching = threading.Thread(target=note, daemon=True)
    watching.start()
    try:
        yield noted
    finally:
        ended.set()
        watching.join()


def _own_cores(service: ServedModel) -> None:
    cores = psutil.Process().cpu_affinity()
    if len(cores) > 1:
        leader = psutil.Process(service.child.pid)
        for process in [leader, *leader.children(recursive=True)]:
            for thread in process.threads():
                psutil.Process(thread.id).cpu_affinity(cores[:-1])
        psutil.Process().cpu_affinity(cores[-1:])


def main() -> int:
    """Overload a service of the small text model, print what came of it and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-overload-") as folder,
        serve(write_store(Path(folder) / "bentoml"), max_in_flight=str(PLACES)) as service,
    ):
        _own_cores(service)
        found = overload(service, seconds=options.seconds, at_capacity_s=min(30.0, options.seconds))
    path = _written(found, options.results)
    sys.stdout.write("\n".join([found.line(), *(f"not kept: {each}" for each in found.broken()), f"written to {path}", ""]))
    return int(bool(found.broken()))


def _written(found: Overload, results: Path) -> Path:
    moment = datetime.now(UTC)
    said = {
        "date": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        **asdict(found),
        "memory_mib": [round(each, 1) for each in found.memory_mib],
        "grown_mib": found.grown_mib,
        "broken": found.broken(),
        "machine": describe_machine("bentoml", "uvicorn", "scikit-learn"),
    }
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"overload-{moment:%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())

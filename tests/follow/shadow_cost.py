"""Measure what a shadow costs those who wait for answers, in pairs of rounds with and without: `python -m tests.follow.shadow_cost`."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
from prometheus_client.parser import text_string_to_metric_families

from passerelle.model.ledger_entry import CandidateTerms
from passerelle.monitoring.rollout_metrics import SHADOW
from tests.follow.candidates import nominate, until_all
from tests.follow.figures import _cpu_s
from tests.follow.followed import Followed, followed
from tests.follow.load import Load, Traffic

ALL = CandidateTerms("shadow", 100, "X-Rollout-Key")
_WARM_S = 1.0


@dataclass(frozen=True)
class Round:
    """The traffic of a while, and the processor time that the service spent on it."""

    traffic: Traffic
    cpu_s: float


def _round(service: Followed, name: str, seconds: float, connections: int, pause_s: float) -> Round:
    out = service.folder / f"{name}.txt"
    load = Load(service.versions.answers_file, out, [service.replica.service.address], connections=connections, pause_s=pause_s)
    try:
        time.sleep(_WARM_S)
        mark, before = load.mark(), _cpu_s(service.replica.service.child.pid)
        time.sleep(seconds)
        return Round(load.since(mark), _cpu_s(service.replica.service.child.pid) - before)
    finally:
        load.stop()


def pairs(service: Followed, rounds: int, seconds: float, connections: int, pause_s: float) -> list[tuple[Round, Round]]:
    """Return the traffic with a shadow and without one, a pair of rounds each, in turns of which comes first."""
    ref, found = service.other(), []
    for number in range(rounds):
        both: dict[bool, Round] = {}
        for shadow in (number % 2 == 0, number % 2 == 1):
            nominate(service, ref, ALL if shadow else None)
            until_all(service, "mode", "shadow" if shadow else None)
            both[shadow] = _round(service, f"{connections}-{number}-{shadow}", seconds, connections, pause_s)
        found.append((both[True], both[False]))
    return found


def scored(service: Followed) -> dict[str, int]:
    """Return how many records the last shadow of the service labelled alike, labelled otherwise and dropped."""
    text = requests.get(f"{service.replica.service.address}/metrics", timeout=30).text
    counts: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"{SHADOW}_total":
                counts[sample.labels["outcome"]] = counts.get(sample.labels["outcome"], 0) + int(sample.value)
    return counts


def _shown(name: str, ratios: Sequence[float]) -> str:
    rng = np.random.default_rng(0)
    resampled = np.median(rng.choice(np.asarray(ratios), (5_000, len(ratios))), axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return f"{name}, with a shadow / without: median {statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}], n={len(ratios)}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


_FIGURES: dict[str, Callable[[Round], float]] = {
    "requests per second": lambda each: len(each.traffic.asked),
    "processor time of a request": lambda each: each.cpu_s / len(each.traffic.asked),
    "p50": lambda each: statistics.median(one.seconds for one in each.traffic.asked),
    "p99": lambda each: each.traffic.p99_ms,
}


def main(rounds: str = "12", seconds: str = "3") -> None:
    """Measure at a quiet pace, and with as many requests as are answered."""
    _say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}")
    # The candidate stays loaded between its rounds: what its load costs is no cost of scoring.
    with tempfile.TemporaryDirectory(prefix="passerelle-") as folder, followed(Path(folder), follow_keep_s="600") as service:
        # Its traffic would be measured with the other.
        service.load.stop()
        for pace, connections, pause_s in (("4 connections, 20 ms between requests", 4, 0.02), ("4 connections without a pause", 4, 0.0)):
            found = pairs(service, int(rounds), float(seconds), connections, pause_s)
            failed = sum(each.traffic.failed + each.traffic.wrong for pair in found for each in pair)
            asked = [statistics.median(len(pair[place].traffic.asked) / float(seconds) for pair in found) for place in (0, 1)]
            p99 = [statistics.median(pair[place].traffic.p99_ms for pair in found) for place in (0, 1)]
            _say(f"{pace}: {asked[0]:.0f} and {asked[1]:.0f} requests/s, p99 {p99[0]:.1f} and {p99[1]:.1f} ms; {failed} failed or wrong")
            for name, figure in _FIGURES.items():
                _say(_shown(f"  {name}", [figure(one) / figure(other) for one, other in found]))
        _say(f"records: {scored(service)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

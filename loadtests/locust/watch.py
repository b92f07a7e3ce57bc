"""Ties a locust file to its thresholds: options, the service's memory, the results written, and the exit code."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import psutil
from locust import events

from loadtests.locust.thresholds import Figures, Thresholds, growth_mib
from loadtests.machine import describe_machine, resident_mib

RESULTS = Path(__file__).resolve().parents[1] / "results"
_LOG = logging.getLogger("loadtests")


@dataclass
class Watch:
    """Listens to one run.

    Args:
        name: Of the load, and of its results.
        thresholds: Where the command line says nothing else.
    """

    name: str
    thresholds: Thresholds
    memory_mib: list[float] = field(default_factory=list)

    def attach(self) -> None:
        """Register with locust."""
        events.init_command_line_parser.add_listener(self.options)
        events.test_start.add_listener(self.start)
        events.quitting.add_listener(self.judge)

    def options(self, parser: Any) -> None:
        """Add our options to locust's."""
        group = parser.add_argument_group("Thresholds", "the run exits with 1 when one is not kept")
        for name, value in asdict(self.thresholds).items():
            group.add_argument(f"--{name.replace('_', '-')}", type=float, default=None, help=f"by default {value:g}")
        group.add_argument("--service-pid", type=int, default=None, help="process of the service, to watch its memory")
        group.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")

    def start(self, environment: Any, **_: Any) -> None:
        """Begin to sample the memory of the service, where it runs on this machine."""
        if environment.parsed_options.service_pid is not None:
            gevent.spawn(self.sample, environment)

    def sample(self, environment: Any) -> None:
        """Note the resident memory of the service and its workers, once a second."""
        while environment.runner is not None and environment.runner.state not in ("stopping", "stopped", "cleanup"):
            try:
                self.memory_mib.append(resident_mib(environment.parsed_options.service_pid))
            except psutil.NoSuchProcess:
                return
            gevent.sleep(1)

    def judge(self, environment: Any, **_: Any) -> None:
        """Write the results and say what was not kept."""
        thresholds = self.thresholds.given(environment.parsed_options)
        total, named = Figures.of(environment.stats.total), [Figures.of(each) for _, each in sorted(environment.stats.entries.items())]
        growth = growth_mib(self.memory_mib)
        broken = thresholds.broken(total, named, growth)
        for line in broken:
            _LOG.error("threshold: %s", line)
        environment.process_exit_code = 1 if broken else 0
        memory = {"most": round(max(self.memory_mib), 1), "growth": growth and round(growth, 1)} if self.memory_mib else None
        found = {"thresholds": asdict(thresholds), "broken": broken, "memory_mib": memory, "seconds": seconds_of(environment)}
        failures = [f"{each.method} {each.name}: {each.error} ({each.occurrences})" for each in environment.stats.errors.values()]
        path = write_results(environment.parsed_options.results, self.name, found | {"failures": failures}, [*named, total])
        _LOG.info("%s: %s; results in %s", self.name, "not kept" if broken else "all thresholds kept", path)


def seconds_of(environment: Any) -> float:
    """Return how long requests were sent."""
    total = environment.stats.total
    return float(round((total.last_request_timestamp or total.start_time) - total.start_time, 1))


def write_results(folder: Path, name: str, found: dict[str, Any], figures: list[Figures]) -> Path:
    """Write `<name>-<date>.json` with the machine, and the figures as `.csv` beside it; return the former."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{now:%Y-%m-%dT%H%M%SZ}.json"
    rows = [asdict(each) for each in figures]
    told = {"load": name, "date": now.isoformat(timespec="seconds"), "machine": describe_machine("locust", "bentoml")}
    path.write_text(json.dumps({**told, **found, "figures": rows}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path

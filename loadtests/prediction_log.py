"""What the prediction log costs: requests a second of processor time, and p99, with it and without it, in turn.

    python -m loadtests.prediction_log                    three services, twelve rounds of two seconds each, some two minutes
    python -m loadtests.prediction_log --rounds 20
    python -m loadtests.prediction_log --feedback 0       redaction alone, without corrections
    python -m loadtests.prediction_log --feedback 20 --feedback-to on      corrections alone, without redaction

One service records nothing, one everything but texts, one redacted texts; corrections are sent to one of them meanwhile. Rounds are
taken in turn and ratios of neighbours count, because the figures of a busy machine go up and down.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import requests

from loadtests.bench.load import run_wrk
from loadtests.bench.model import TEXTS, BenchModel, make_model
from loadtests.bench.servers import Server
from loadtests.machine import describe_machine
from passerelle.errors import PasserelleError
from tests.service_fixtures import serve

RESULTS = Path(__file__).resolve().parent / "results"
CONNECTIONS = 8
#: Corrections a second; a person corrects one in some minutes.
FEEDBACK_PER_S = 20.0
OFF, ON, REDACTED = "off", "on", "redacted"
SETTINGS: Mapping[str, Mapping[str, str]] = {OFF: {}, ON: {"log_text": "off"}, REDACTED: {"log_text": "redacted"}}
#: Most that the log may cost: of the throughput, and times the p99.
MOST_COST, MOST_P99 = 0.03, 1.1


@dataclass(frozen=True)
class LogRound:
    """What one round on one service gave."""

    per_cpu_second: float
    per_second: float
    p99_ms: float


@dataclass(frozen=True)
class LogCost:
    """What the log costs, next to the service that records nothing.

    Attributes:
        cost: Share of the requests a second of processor time that are lost; median over the rounds.
        cost_low: Least of the two ends between which the true median is, with 95 %.
        cost_high: The other one.
        p99_times: The p99 in multiples of the other's; median over the rounds.
    """

    cost: float
    cost_low: float
    cost_high: float
    p99_times: float


def main() -> int:
    """Measure, print and write the figures; 1 where the log costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one round")
    parser.add_argument("--texts", type=int, default=TEXTS, help="that the model is fitted on")
    parser.add_argument("--feedback", type=float, default=FEEDBACK_PER_S, help="corrections a second; 0 for none")
    parser.add_argument("--feedback-to", choices=[ON, REDACTED], default=REDACTED, help="service that gets them")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="passerelle-log-") as folder:
            rounds = measure(make_model(Path(folder), options.texts), options)
    except PasserelleError as error:
        print(f"error: {error.message}\n  next: {error.hint}", file=sys.stderr)
        return error.exit_code
    costs = {name: cost_of(rounds[OFF], rounds[name]) for name in (ON, REDACTED)}
    for name, cost in costs.items():
        print(f"{name:<10}{cost.cost:>8.1%} of throughput ({cost.cost_low:.1%} to {cost.cost_high:.1%})   p99 {cost.p99_times:.2f} times")
    path = options.results / f"prediction-log-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    figures = {name: [asdict(each) for each in found] for name, found in rounds.items()}
    content = {
        "machine": describe_machine("bentoml"),
        "connections": options.connections,
        "feedback": {"per_s": options.feedback, "to": options.feedback_to},
        "costs": {k: asdict(v) for k, v in costs.items()},
    }
    path.write_text(json.dumps({**content, "rounds": figures}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
    return int(any(cost.cost > MOST_COST or cost.p99_times > MOST_P99 for cost in costs.values()))


def measure(model: BenchModel, options: argparse.Namespace) -> dict[str, list[LogRound]]:
    """Return the rounds of each service, taken in turn."""
    bodies = model.bodies("log", dict)
    with ExitStack() as stack:
        servers = {}
        for name, settings in SETTINGS.items():
            folder = "" if name == OFF else str(model.folder / name)
            service = stack.enter_context(serve(model.bentoml_home, prediction_log=folder, auth="off", access_log="false", **settings))
            servers[name] = Server(name, service.address, service.child)
        for server in servers.values():
            run_wrk(server, bodies, connections=options.connections, seconds=3.0)
        if options.feedback:
            stack.enter_context(corrections(servers[options.feedback_to], model.records[0], options.feedback))
        rounds: dict[str, list[LogRound]] = {name: [] for name in servers}
        for number in range(options.rounds):
            # The order turns, so that no service always comes after the same one.
            for name in [*servers][number % 3 :] + [*servers][: number % 3]:
                rounds[name].append(one_round(servers[name], bodies, options))
            print(
                f"round {number + 1}: " + "   ".join(f"{name} {found[-1].per_cpu_second:,.0f}" for name, found in rounds.items()),
                flush=True,
            )
        return rounds


def one_round(server: Server, bodies: Path, options: argparse.Namespace) -> LogRound:
    """Return one round, with the processor time of all processes of the service."""
    before = cpu_seconds(server)
    done = run_wrk(server, bodies, connections=options.connections, seconds=options.seconds)
    used = cpu_seconds(server) - before
    answered = done.requests_per_s * max(1, round(options.seconds))
    return LogRound(answered / used, done.requests_per_s, done.p99_ms)


def cpu_seconds(server: Server) -> float:
    """Return the processor time that the service has used."""
    leader = psutil.Process(server.child.pid)
    times = [each.cpu_times() for each in [leader, *leader.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


@contextmanager
def corrections(server: Server, record: Mapping[str, str], per_s: float) -> Iterator[None]:
    """Send feedback to a service as long as the body runs, so many times a second."""
    ended = threading.Event()

    def send() -> None:
        session = requests.Session()
        answer = session.post(f"{server.address}/classify", json=dict(record), timeout=30).json()
        correction = {"prediction_id": answer["prediction_id"], "label": answer["label"], "comment": "Vu avec M. Dupont, 06 12 34 56 78."}
        while not ended.wait(1 / per_s):
            session.post(f"{server.address}/feedback", json=correction, timeout=30)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def cost_of(without: Sequence[LogRound], recorded: Sequence[LogRound]) -> LogCost:
    """Return what the log costs, from rounds that were taken in turn."""
    costs = sorted(1 - b.per_cpu_second / a.per_cpu_second for a, b in zip(without, recorded, strict=True))
    p99_times = statistics.median(b.p99_ms / a.p99_ms for a, b in zip(without, recorded, strict=True))
    # The sign test's interval of a median.
    place = max(0, math.floor(len(costs) / 2 - 0.98 * math.sqrt(len(costs))))
    return LogCost(statistics.median(costs), costs[place], costs[-1 - place], p99_times)


if __name__ == "__main__":
    sys.exit(main())

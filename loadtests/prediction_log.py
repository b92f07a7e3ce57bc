"""What the prediction log costs: requests a second, processor time of a request, and p99, with it and without it, in turn.

    python -m loadtests.prediction_log                    two services, 40 rounds of two turns of a second each, some three minutes
    python -m loadtests.prediction_log --rounds 20
    python -m loadtests.prediction_log --rate 2500        at a fixed rate: the p99 that somebody notices where processors have time left
    python -m loadtests.prediction_log --feedback 0       redaction alone, without corrections
    python -m loadtests.prediction_log --feedback 20 --feedback-to on      corrections alone, without redaction

One service records everything but texts, one redacted texts; corrections are sent to one of them meanwhile. Each is compared with itself
while its log is parked: two services differ by some percent for reasons of their own.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGUSR1, SIGUSR2, Signals

import numpy as np
import psutil
import requests

from loadtests.bench.load import run_wrk
from loadtests.bench.model import TEXTS, BenchModel, make_model
from loadtests.bench.servers import Server
from loadtests.machine import describe_machine
from passerelle.errors import PasserelleError
from tests.service_fixtures import serve

RESULTS = Path(__file__).resolve().parent / "results"
SERVICE = "loadtests.recorded_in_turn"
CONNECTIONS = 8
#: Where the rate is fixed, so that nearly none of them waits for an answer when its next request is due.
CONNECTIONS_AT_A_RATE = 32
#: Corrections a second; a person corrects one in some minutes.
FEEDBACK_PER_S = 20.0
ON, REDACTED = "on", "redacted"
SETTINGS: Mapping[str, Mapping[str, str]] = {ON: {"log_text": "off"}, REDACTED: {"log_text": "redacted"}}
#: The recording is parked, or goes on.
PARKED, RECORDS = SIGUSR1, SIGUSR2
#: Most that the log may cost: of the throughput, and times the p99.
MOST_COST, MOST_P99 = 0.03, 1.1


@dataclass(frozen=True)
class LogTurn:
    """What one turn on one service gave.

    Attributes:
        cpu_seconds: Processor time of all processes of the service.
        worker_seconds: Of these, of all but those that write the log.
    """

    requests: float
    cpu_seconds: float
    worker_seconds: float
    p99_ms: float


@dataclass(frozen=True)
class LogRound:
    """Two turns on one service, in either order."""

    without: LogTurn
    recorded: LogTurn


@dataclass(frozen=True)
class LogCost:
    """What the log costs a service.

    Attributes:
        cost: Share of the requests a second that are lost.
        cost_low: Least of the interval of 95 %.
        cost_high: Most of it.
        cpu_cost: Share of the requests a second of processor time that are lost, of all processes: what the log costs where no processor
            has time left.
        worker_cost: The same share by the processor time of the workers alone.
        p99_times: The p99 in multiples of that without the log; median over the rounds.
    """

    cost: float
    cost_low: float
    cost_high: float
    cpu_cost: float
    worker_cost: float
    p99_times: float


def main() -> int:
    """Measure, print and write the figures; 1 where the log costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    parser.add_argument("--texts", type=int, default=TEXTS, help="that the model is fitted on")
    parser.add_argument("--feedback", type=float, default=FEEDBACK_PER_S, help="corrections a second; 0 for none")
    parser.add_argument("--feedback-to", choices=[ON, REDACTED], default=REDACTED, help="service that gets them")
    parser.add_argument("--connections", type=int, help=f"{CONNECTIONS}, or {CONNECTIONS_AT_A_RATE} at a fixed rate")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second, at most; 0 for as many as are answered")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.connections = options.connections or (CONNECTIONS_AT_A_RATE if options.rate else CONNECTIONS)
    try:
        with tempfile.TemporaryDirectory(prefix="passerelle-log-") as folder:
            rounds = measure(make_model(Path(folder), options.texts), options)
    except PasserelleError as error:
        print(f"error: {error.message}\n  next: {error.hint}", file=sys.stderr)
        return error.exit_code
    costs = {name: cost_of(found) for name, found in rounds.items()}
    for name, cost in costs.items():
        interval = f"({cost.cost_low:.1%} to {cost.cost_high:.1%})"
        processors = f"processor time {cost.cpu_cost:.1%}, of workers {cost.worker_cost:.1%}"
        print(f"{name:<10}{cost.cost:>8.1%} of throughput {interval}   {processors}   p99 {cost.p99_times:.2f} times")
    path = options.results / f"prediction-log-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    figures = {name: [asdict(each) for each in found] for name, found in rounds.items()}
    content = {
        "machine": describe_machine("bentoml"),
        "connections": options.connections,
        "rate": options.rate,
        "feedback": {"per_s": options.feedback, "to": options.feedback_to},
        "costs": {k: asdict(v) for k, v in costs.items()},
    }
    path.write_text(json.dumps({**content, "rounds": figures}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
    return int(any((cost.cost > MOST_COST and not options.rate) or cost.p99_times > MOST_P99 for cost in costs.values()))


def measure(model: BenchModel, options: argparse.Namespace) -> dict[str, list[LogRound]]:
    """Return the rounds of each service, taken in turn."""
    bodies = model.bodies("log", dict)
    with ExitStack() as stack:
        servers = {}
        for name, settings in SETTINGS.items():
            log = {"prediction_log": str(model.folder / name), "log_digest_key": "k" * 32, **settings}
            service = stack.enter_context(serve(model.bentoml_home, module=SERVICE, auth="off", access_log="false", **log))
            servers[name] = Server(name, service.address, service.child)
        for server in servers.values():
            run_wrk(server, bodies, connections=options.connections, seconds=3.0)
        if options.feedback:
            stack.enter_context(corrections(servers[options.feedback_to], model.records[0], options.feedback))
        rounds: dict[str, list[LogRound]] = {name: [] for name in servers}
        for number in range(options.rounds):
            for name, server in servers.items():
                order = (PARKED, RECORDS) if number % 2 else (RECORDS, PARKED)
                turns = {signal: one_turn(server, signal, bodies, options) for signal in order}
                rounds[name].append(LogRound(turns[PARKED], turns[RECORDS]))
            print(f"round {number + 1}: " + "   ".join(f"{name} {_rates(found[-1])}" for name, found in rounds.items()), flush=True)
        return rounds


def _rates(turns: LogRound) -> str:
    return " to ".join(f"{each.requests:,.0f}" for each in (turns.without, turns.recorded))


def one_turn(server: Server, signal: Signals, bodies: Path, options: argparse.Namespace) -> LogTurn:
    """Park the log or let it go on, and return what was answered from then on, with the processor time of all processes."""
    for worker in psutil.Process(server.child.pid).children(recursive=True):
        if "multiprocessing" not in " ".join(worker.cmdline()):  # the tracker of resources would end
            worker.send_signal(signal)
    before = cpu_seconds(server)
    pause_ms = round(1_000 * options.connections / options.rate) if options.rate else 0
    done = run_wrk(server, bodies, connections=options.connections, seconds=options.seconds, pause_ms=pause_ms)
    used, by_workers = (after - former for after, former in zip(cpu_seconds(server), before, strict=True))
    return LogTurn(done.requests_per_s * max(1, round(options.seconds)), used, by_workers, done.p99_ms)


def cpu_seconds(server: Server) -> tuple[float, float]:
    """Return the processor time that the service has used, and that of all its processes but those that write the log."""
    leader = psutil.Process(server.child.pid)
    total = of_writers = 0.0
    for process in (leader, *leader.children(recursive=True)):
        files = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        used = sum(int(path.read_text(encoding="ascii").split()[0]) for path in files) / 1e9
        total += used
        of_writers += used if any("line_writer" in each for each in process.cmdline()) else 0.0
    return total, total - of_writers


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


def cost_of(rounds: Sequence[LogRound]) -> LogCost:
    """Return what the log costs; the interval comes from drawing the rounds anew."""
    table = np.array([(r.recorded.requests, r.without.requests) for r in rounds])
    drawn = np.random.default_rng(0).integers(len(table), size=(2_000, len(table)))
    sums = np.vstack([table.sum(axis=0), table[drawn].sum(axis=1)])
    kept = sums[:, 0] / sums[:, 1]
    low, high = np.quantile(1 - kept[1:], (0.025, 0.975))
    recorded, by_recording = np.array([(r.recorded.cpu_seconds, r.recorded.worker_seconds) for r in rounds]).sum(axis=0)
    without, by_others = np.array([(r.without.cpu_seconds, r.without.worker_seconds) for r in rounds]).sum(axis=0)
    p99_times = statistics.median(r.recorded.p99_ms for r in rounds) / statistics.median(r.without.p99_ms for r in rounds)
    cpu_cost, worker_cost = 1 - kept[0] * without / recorded, 1 - kept[0] * by_others / by_recording
    return LogCost(float(1 - kept[0]), float(low), float(high), float(cpu_cost), float(worker_cost), p99_times)


if __name__ == "__main__":
    sys.exit(main())

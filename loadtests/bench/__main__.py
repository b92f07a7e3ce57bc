"""Start /classify and its peers on one model, drive them with the same load in turn, and write a table with ratios.

make bench                    the whole: six servers, some eight minutes
python -m loadtests.bench --rounds 1 --seconds 2 --only passerelle "FastAPI + pyfunc"
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from loadtests.bench.load import batch_seconds, drive, memory_mib
from loadtests.bench.model import TEXTS, BenchModel, make_model
from loadtests.bench.report import Measured, table, write
from loadtests.bench.servers import NAMES, OURS, start
from loadtests.machine import describe_machine
from passerelle.errors import PasserelleError

_PACKAGES = ("bentoml", "mlflow", "scikit-learn", "numpy", "fastapi", "uvicorn", "uvloop")


def main() -> int:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of one round")
    parser.add_argument("--texts", type=int, default=TEXTS, help="that the model is fitted on; figures of other numbers do not compare")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--results", type=Path, default=Path(__file__).resolve().parents[1] / "results")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as folder:
            print("the model is trained", flush=True)
            measured = measure(make_model(Path(folder), options.texts), options)
    except PasserelleError as error:
        print(f"error: {error.message}\n  next: {error.hint}", file=sys.stderr)
        return error.exit_code
    path = write(measured, options.results)
    print(f"\n{table(measured)}\nwritten to {path}")
    return 0


def measure(model: BenchModel, options: argparse.Namespace) -> Measured:
    """Return the figures of all servers that start here."""

    def progress(line: str) -> None:
        print(line, flush=True)

    starts = [start_seconds(model) for _ in range(options.rounds)] if OURS in options.only else []
    with ExitStack() as stack:
        servers = []
        for name in options.only:
            progress(f"start {name}")
            server = start(name, model, stack, progress)
            servers += [server] if server else []
        memory = {server.name: memory_mib(server) for server in servers}
        rounds = drive(servers, model, rounds=options.rounds, seconds=options.seconds, progress=progress)
        ours = next((server for server in servers if server.name == OURS), None)
        batch = batch_seconds(ours, model, max(3, options.rounds)) if ours else None
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Measured(rounds, batch, statistics.median(starts) if starts else None, memory, describe_machine(*_PACKAGES), date)


def start_seconds(model: BenchModel) -> float:
    """Return the time from `bentoml serve` to ready."""
    with ExitStack() as stack:
        began = time.perf_counter()
        start(OURS, model, stack, lambda _: None)
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())

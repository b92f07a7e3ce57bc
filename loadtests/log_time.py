"""Microseconds of processor time that the prediction log takes of a request, in one process: also on a machine that is busy.

    python -m loadtests.log_time                                             made-up texts of 530 characters; half a minute
    python -m loadtests.log_time --text redacted
    python -m loadtests.log_time --text redacted --file training/data/comments.csv

The endpoint answers requests without a connection, in blocks with the log and without it, in an order drawn by chance; the time is that of
the event loop's thread. That of the thread that looks after the process, and of the process that writes, is shared out over the records. A
request over HTTP takes about a third more.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import asyncio
import csv
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.model import make_model
from passerelle.monitoring.prediction_log.hand_over import TOGETHER
from passerelle.monitoring.prediction_log.writer import PredictionLog
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.recording import write_until_shutdown
from passerelle.serving.responses import Message, Scope
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings

#: As many as lines are made together, so that each block with the log pays for them.
_BLOCK = TOGETHER
_WARM_UP = 1_000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", choices=["off", "redacted", "full"], default="off")
    parser.add_argument("--file", type=Path, help="CSV with a column `text`, in place of made-up texts")
    parser.add_argument("--requests", type=int, default=30_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="passerelle-log-") as folder:
        model = make_model(Path(folder), 3_000)
        texts = [record["text"] for record in model.records]
        if options.file:
            with options.file.open(encoding="utf-8", newline="") as rows:
                texts = [row["text"] for row in csv.DictReader(rows)]
        log = {"PREDICTION_LOG": f"{folder}/log", "LOG_TEXT": options.text, "LOG_DIGEST_KEY": "k" * 32}
        os.environ.update({f"PASSERELLE_{name}": value for name, value in log.items()})
        runtime = Runtime(model.mlflow_model.parent, ServiceSettings.read({}, access_log=False))
        runtime.load()
        app = ClassifyEndpoint(build_app(runtime), runtime=runtime)
        asyncio.run(measure(app, [json.dumps({"text": text}, ensure_ascii=False).encode() for text in texts], options.requests))
    return 0


async def measure(app: ClassifyEndpoint, bodies: Sequence[bytes], requests: int) -> None:
    """Print what a request takes without the log, and what the log adds."""
    log = app._predictions
    assert log is not None  # noqa: S101 - the settings name its folder
    close = write_until_shutdown(log, _nowhere)
    await _answer(app, [bodies[i % len(bodies)] for i in range(_WARM_UP)])
    await asyncio.sleep(1.0)  # the process has started
    written, by_process, drawn = _thread_us(log), _process_us(log), random.Random(0)  # noqa: S311 - the order of blocks
    times: dict[bool, list[float]] = {True: [], False: []}
    for block in range(requests // _BLOCK // 2):
        for recorded in drawn.sample([True, False], 2):
            app._predictions = log if recorded else None
            times[recorded].append(await _answer(app, [bodies[(block * _BLOCK + i) % len(bodies)] for i in range(_BLOCK)]))
        await asyncio.sleep(0.002)  # a turn for the log's thread
    await asyncio.sleep(0.6)
    records = len(times[True]) * _BLOCK
    by_thread, by_process = (_thread_us(log) - written) / records, (_process_us(log) - by_process) / records
    memory = _process_mib(log)
    await close({"type": "lifespan.shutdown.complete"})
    added = [one - other for one, other in zip(times[True], times[False], strict=True)]
    # A block in which the machine did something else says nothing.
    tenth = len(added) // 10
    usual = sorted(added)[tenth : len(added) - tenth]
    within = 2 * statistics.stdev(usual) / len(usual) ** 0.5
    print(f"a request without the log: {statistics.median(times[False]):.0f} µs")
    print(f"the log adds:              {statistics.mean(usual):.1f} ± {within:.1f} µs, and {by_thread:.1f} µs on its own thread")
    print(f"the process that writes:   {by_process:.1f} µs, {memory:.1f} MiB of its own and its share of what others have too")


async def _answer(app: ClassifyEndpoint, bodies: Sequence[bytes]) -> float:
    """Return the microseconds of this thread for each request."""
    began = time.thread_time_ns()
    for body in bodies:
        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        client = ("127.0.0.1", 40_000)
        scope: Scope = {"type": "http", "method": "POST", "path": "/classify", "headers": headers, "client": client, "server": client}

        async def receive(body: bytes = body) -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await app(scope, receive, _nowhere)
    return (time.thread_time_ns() - began) / len(bodies) / 1e3


async def _nowhere(_: Message) -> None:
    pass


def _process_us(log: PredictionLog) -> float:
    """Return the processor time of the process that makes the lines and writes them."""
    path = Path(f"/proc/{log._process.pid}/schedstat")
    return int(path.read_text(encoding="ascii").split()[0]) / 1e3


def _process_mib(log: PredictionLog) -> float:
    """Return the memory of that process (PSS)."""
    lines = Path(f"/proc/{log._process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def _thread_us(log: PredictionLog) -> float:
    """Return the processor time of the log's thread in the worker."""
    path = Path(f"/proc/self/task/{log._thread.native_id}/schedstat")
    return int(path.read_text(encoding="ascii").split()[0]) / 1e3


if __name__ == "__main__":
    sys.exit(main())

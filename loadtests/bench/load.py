"""The load: wrk's rounds on each server in turn, batches, starts and memory."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from loadtests.bench.model import BenchModel
from loadtests.bench.servers import Server
from loadtests.scorer_rate import frame
from passerelle.errors import OutsideError

_SCRIPT = Path(__file__).resolve().parents[1] / "wrk_post.lua"
CONNECTIONS = (1, 32)


@dataclass(frozen=True)
class Round:
    """What wrk measured in one round, or the median of several."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: float


def run_wrk(server: Server, bodies: Path, *, connections: int, seconds: float, pause_ms: int = 0) -> Round:
    """Return one round on one server.

    Args:
        pause_ms: Mean time for which a connection waits between an answer and the next request.

    Raises:
        OutsideError: wrk is not there, or says nothing.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise OutsideError("wrk is not installed: it drives the load", hint="sudo apt-get install wrk")
    command = [
        wrk,
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "30s",
        "-s",
        str(_SCRIPT),
        server.address + server.path,
    ]
    environment = dict(os.environ) | {"BODIES": str(bodies), "API_KEY": server.api_key, "PAUSE_MS": str(pause_ms)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60, check=False)
    return parsed(done.stdout, done.stderr)


def parsed(text: str, said: str = "") -> Round:
    """Return the round in what wrk_post.lua printed.

    Raises:
        OutsideError: There is none.
    """
    line = next((line for line in text.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise OutsideError(f"wrk gave no result: {(said or text).strip()[-300:]}", hint="make bench")
    found = json.loads(line.removeprefix("RESULT "))
    return Round(found["requests"] / found["duration_s"], found["p50_ms"], found["p99_ms"], found["errors"])


def median(rounds: Sequence[Round]) -> Round:
    """Return the median of each figure; errors are summed."""
    return Round(
        statistics.median(each.requests_per_s for each in rounds),
        statistics.median(each.p50_ms for each in rounds),
        statistics.median(each.p99_ms for each in rounds),
        sum(each.errors for each in rounds),
    )


def drive(
    servers: Sequence[Server], model: BenchModel, *, rounds: int, seconds: float, progress: Callable[[str], None]
) -> dict[str, dict[int, Round]]:
    """Return the medians by server and number of connections; the servers take turns, so that a slow minute is everybody's."""
    bodies = {server.name: model.bodies(server.name, server.body) for server in servers}
    for server in servers:
        run_wrk(server, bodies[server.name], connections=4, seconds=min(2.0, seconds))
    found: dict[str, dict[int, list[Round]]] = {server.name: {count: [] for count in CONNECTIONS} for server in servers}
    for number in range(rounds):
        for count in CONNECTIONS:
            for server in servers:
                one = run_wrk(server, bodies[server.name], connections=count, seconds=seconds)
                found[server.name][count].append(one)
                progress(
                    f"round {number + 1}, {count:>2} connections  {server.name:<24}{one.requests_per_s:>9,.0f}/s  p99 {one.p99_ms:.1f} ms"
                )
    return {name: {count: median(each) for count, each in by.items()} for name, by in found.items()}


def batch_seconds(server: Server, model: BenchModel, rounds: int) -> tuple[float, float]:
    """Return the medians of a batch request and of `predict_proba` in this process, on the same 1,000 texts, in turn."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {server.api_key}"
    body = json.dumps({"records": list(model.records)}, ensure_ascii=False).encode()
    table = frame([record["text"] for record in model.records])
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = session.post(f"{server.address}/classify/batch", data=body, headers={"Content-Type": "application/json"}, timeout=60)
        ours.append(time.perf_counter() - began)
        answer.raise_for_status()
        began = time.perf_counter()
        model.pipeline.predict_proba(table)
        theirs.append(time.perf_counter() - began)
    return statistics.median(ours[1:]), statistics.median(theirs[1:])


def memory_mib(server: Server) -> tuple[float, float]:
    """Return resident and proportional (shared pages counted once) memory of all of the server's processes, in MiB."""
    leader = psutil.Process(server.child.pid)
    held = [each.memory_full_info() for each in [leader, *leader.children(recursive=True)]]
    return sum(each.rss for each in held) / 2**20, sum(each.pss for each in held) / 2**20

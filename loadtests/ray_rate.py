"""How many rows two nodes of a Ray cluster score, next to one of them.

    python -m loadtests.ray_rate

Nodes are processes of this machine with one core each, kept to a processor of their own where there are three; the first is the cluster's
head. The rate begins after the first `--warm` splits, two tasks of eight, so that no start-up is in it, which is stated apart. So are the
CPU seconds of the splits on the nodes, of the process that leads, which works beside a node where the machine has two processors, and of
Ray's own processes. From these follows what two nodes can reach at most on so many processors, whatever else the machine does.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from loadtests.table_rate import CANDIDATE, prepare
from passerelle.batch.job import ScoreJob
from passerelle.batch.processes import ScoringRecipe
from passerelle.batch.ray_tasks import write_splits_on_cluster
from passerelle.batch.table_file import LocalFile, LocalFolder
from passerelle.batch.table_plan import plan_of
from passerelle.settings import ServiceSettings
from passerelle.stages.score_records import record_reader
from tests.ray_environment import ROOT, is_complete, ray_python

#: Of the nodes. Ray takes 127.0.0.1 for the host's own address, which may not be loopback.
ADDRESSES = ("127.0.0.2", "127.0.0.3")
GOAL = 1.7
#: What `lead` prints where the rate begins and where it ends.
WARM, DONE = "the rate begins", "the rate ends"
#: Seconds that are left to look at all processes before they end.
LOOK_S = 1.0


def lead(folder: Path, output: str, address: str, warm: int) -> dict[str, float]:
    """Return the rate of a cluster, and what it took; runs in the environment of a node."""
    began = time.monotonic()
    plan = plan_of(LocalFile.at(folder / "many.csv"), ["text", "no"])
    planned = time.monotonic()
    recipe = ScoringRecipe(folder / "model", record_reader, ServiceSettings(), ("no",))
    tasks = ScoreJob((plan,), {"artifact_digest": ""}, {"ids": ["no"]}).tasks()
    found, cpu = [], []
    for each in write_splits_on_cluster(tasks, recipe, LocalFolder(folder / output), address=address, most=None, progress=print):
        found.append((time.monotonic(), each))
        cpu.append(time.process_time())
        if len(found) in {warm, len(tasks)}:
            print(WARM if len(found) == warm else DONE, flush=True)
            time.sleep(LOOK_S if len(found) == len(tasks) else 0)  # the processes that score end with this loop
    rows, seconds = sum(each.rows for _, each in found[warm:]), found[-1][0] - found[warm - 1][0]
    return {
        "rows": sum(each.rows for _, each in found),
        "splits": len(found),
        "plan_seconds": planned - began,
        "start_seconds": found[0][0] - planned,
        "warm_seconds": found[warm - 1][0] - found[0][0],
        "rows_per_second": rows / seconds,
        "nodes_cpu_seconds": sum(each.cpu_seconds for _, each in found[warm:]),
        "lead_cpu_seconds": cpu[-1] - cpu[warm - 1],
        "seconds": seconds,
    }


@contextmanager
def cluster(folder: Path, nodes: int) -> Iterator[tuple[str, dict[str, str], list[int]]]:
    """Yield the address of a cluster of so many nodes, its environment, and the ids of its nodes' processes."""
    from passerelle.platform.ports import free_ports  # noqa: PLC0415 - what the environment of a node lacks
    from tests.ray_nodes import ray_node  # noqa: PLC0415 - likewise

    (port,), pids = free_ports(1), []
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "src"))),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_raylet_start_wait_time_s": "120",
    }
    # Not below a folder with a long name: the paths of Ray's sockets may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as short, ExitStack() as stack:
        head = ("--head", "--include-dashboard=false", f"--port={port}", f"--temp-dir={short}")
        for place, address in enumerate(ADDRESSES[:nodes]):
            role = ("--address", f"{ADDRESSES[0]}:{port}") if place else head
            started = stack.enter_context(ray_node(folder / f"{address}.log", environment, *role, f"--node-ip-address={address}"))
            _keep_to(started.pid, place)
            pids.append(started.pid)
        yield f"{ADDRESSES[0]}:{port}", environment, pids


def _keep_to(pid: int, place: int) -> None:
    """Keep a node and what it starts to one processor, where there is another for what leads."""
    import psutil  # noqa: PLC0415 - what the environment of a node lacks

    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > len(ADDRESSES):
        for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            each.cpu_affinity([processors[place]])


def _cpu_seconds(pids: list[int]) -> dict[int, tuple[str, float]]:
    """Return by process whether it scores or is one of Ray's own, and its CPU seconds so far."""
    import psutil  # noqa: PLC0415 - what the environment of a node lacks

    found = {}
    for pid in pids:
        for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                kind = "workers" if " ".join(each.cmdline()).startswith("ray::") else "ray"
                found[each.pid] = (kind, sum(each.cpu_times()[:2]))
    return found


def _between(before: dict[int, tuple[str, float]], after: dict[int, tuple[str, float]]) -> dict[str, float]:
    """Return the CPU seconds of each kind between two looks; of a process that ended meanwhile, an idle one, none."""
    found = {"workers_cpu_seconds": 0.0, "ray_cpu_seconds": 0.0}
    for pid, (kind, seconds) in after.items():
        found[f"{kind}_cpu_seconds"] += seconds - before.get(pid, (kind, 0.0))[1]
    return found


def measured(folder: Path, nodes: int, warm: int) -> dict[str, float]:
    """Return what `lead` returns of a cluster of so many nodes, and the CPU seconds of its processes in the same time."""
    marks: dict[str, dict[int, tuple[str, float]]] = {}
    with cluster(folder, nodes) as (address, environment, pids):
        command = [str(ray_python()), "-m", "loadtests.ray_rate", "--lead", str(folder), f"nodes-{nodes}", address, str(warm)]
        with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            line = "{}"
            for line in process.stdout or ():
                if line.strip() in (WARM, DONE):
                    marks[line.strip()] = _cpu_seconds(pids)
    if process.returncode:
        sys.exit(f"the process that leads ended with {process.returncode}; its messages are above")
    found: dict[str, float] = json.loads(line)
    found |= _between(marks[WARM], marks[DONE])
    print(nodes, json.dumps({key: round(value, 2) for key, value in found.items()}), file=sys.stderr, flush=True)
    return found


def most_by_cpu(one: dict[str, float], two: dict[str, float], processors: int) -> float:
    """Return how many times the rows of one node two can score at most, if each processor is busy all the time.

    One node has a processor of its own; two share these processors with what leads and with Ray's own processes.
    """
    rows_one, rows_two = (each["rows_per_second"] * each["seconds"] for each in (one, two))
    of_one = rows_one / one["workers_cpu_seconds"]
    of_two = rows_two / two["workers_cpu_seconds"]
    all_of_two = rows_two / sum(two[f"{kind}_cpu_seconds"] for kind in ("workers", "lead", "ray"))
    return min(len(ADDRESSES) * of_two, processors * all_of_two) / of_one


def main() -> None:
    """Print the figures as JSON, and how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--candidate", default=CANDIDATE)
    parser.add_argument("--warm", type=int, default=16, help="splits that are done before the rate begins")
    parser.add_argument("--lead", nargs=4, metavar=("FOLDER", "OUTPUT", "ADDRESS", "WARM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lead:
        folder, output, address, warm = options.lead
        print(json.dumps(lead(Path(folder), output, address, int(warm))))
        return
    if not is_complete(ray_python()):
        sys.exit("the environment of a Ray node is missing: python -m tests.ray_environment")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, options.rows, options.candidate)
        one, two = (measured(folder, nodes, options.warm) for nodes in (1, 2))
    ratio = two["rows_per_second"] / one["rows_per_second"]
    most = most_by_cpu(one, two, len(os.sched_getaffinity(0)))
    print(json.dumps({"candidate": options.candidate, "one": one, "two": two, "two to one": ratio, "at most": most}, indent=2))
    print(f"two nodes to one, at most by the CPU seconds of all      {most:8.2f}")
    print(f"two nodes to one, rows a second without start-up {ratio:8.2f}   >= {GOAL}")


if __name__ == "__main__":
    main()

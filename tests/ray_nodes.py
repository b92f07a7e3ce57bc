"""Nodes of a Ray cluster, as processes of this machine."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.ray_environment import ROOT, ray_python

# Ray takes 127.0.0.1 for the host's own address, which may not be loopback; and each node needs an address of its own.
HEAD, NODE = "127.0.0.2", "127.0.0.3"
STARTED = "Ray runtime started"
_START_TRIES = 3


def end(process: psutil.Process) -> None:
    """Kill a process and all that it started."""
    tree = [*process.children(recursive=True), process]
    for each in tree:
        each.kill()
    psutil.wait_procs(tree, 60)


@contextmanager
def ray_node(log: Path, environment: dict[str, str], *options: str, cores: int = 1) -> Iterator[psutil.Process]:
    """Yield a node that has started; one that a busy machine let time out is started again."""
    ray = str(ray_python().with_name("ray"))
    common = ("--block", f"--num-cpus={cores}", "--object-store-memory=100000000", "--disable-usage-stats")
    for _ in range(_START_TRIES):
        with log.open("w") as output:
            started = subprocess.Popen(
                [ray, "start", *common, *options], env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )
        while started.poll() is None and STARTED not in log.read_text():
            time.sleep(0.1)
        if started.poll() is None:
            break
    assert started.poll() is None, log.read_text()
    try:
        yield psutil.Process(started.pid)
    finally:
        if started.poll() is None:
            end(psutil.Process(started.pid))
        started.wait(60)

"""Two replicas of the service that are killed at the writes of their answers, in turn, and come back within milliseconds.

Real are the endpoint, the model, uvicorn and the protocol; BentoML's supervisor is not: a process that has all of it in memory forks the
replicas. One is told by SIGUSR1 to kill itself right before or right after one of the next writes to a socket.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.install import speak_http
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings

#: A replica is killed at one of so many writes.
_WRITES = 6
_SETTLED_S = 0.15


class Mortal:
    """A transport that kills the process at one of the writes, once it is armed."""

    writes_left = 0

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, unless it is killed before."""
        dies = Mortal.writes_left == 1
        Mortal.writes_left -= 1
        if dies and random.random() < 0.25:  # noqa: S311 - no secret
            os.kill(os.getpid(), signal.SIGKILL)
        self._transport.write(data)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)


def endpoint_of(runtime: Runtime) -> ClassifyEndpoint:
    return ClassifyEndpoint(build_app(runtime), runtime=runtime)


def serve(runtime: Runtime, port: int, *, plain: bool) -> None:
    """Serve in this process until it is killed."""
    random.seed(os.getpid())
    endpoint = endpoint_of(runtime)
    speak_http(endpoint)
    spoken: Any = HttpToolsProtocol if plain else HTTP_PROTOCOLS["auto"]

    class MortalConnection(spoken):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(Mortal(transport))

    def arm(*_: object) -> None:
        Mortal.writes_left = random.randint(1, _WRITES)  # noqa: S311 - no secret

    async def run() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, arm)
        await uvicorn.Server(config).serve()

    config = uvicorn.Config(endpoint, port=port, http=MortalConnection, lifespan="off", log_config=None)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


def started(runtime: Runtime, port: int, *, plain: bool) -> int:
    """Fork a replica and return its process id once it accepts connections."""
    pid = os.fork()
    if pid == 0:
        try:
            serve(runtime, port, plain=plain)
        finally:
            os._exit(1)
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return pid
        time.sleep(0.01)


def main(folder: str, first: str, second: str, kills: str, protocol: str) -> None:
    """Kill the replicas in turn; one line on stdout says that they run, another how many were killed."""
    runtime = Runtime(Path(folder), ServiceSettings.read(access_log=False))
    runtime.load()
    # All that a replica imports; it shall be back at once.
    speak_http(endpoint_of(runtime))
    uvicorn.Config(endpoint_of(runtime), lifespan="off", log_config=None).load()
    ports = [int(first), int(second)]
    pids = [started(runtime, port, plain=protocol == "plain") for port in ports]
    try:
        sys.stdout.write("running\n")
        sys.stdout.flush()
        sys.stdin.readline()
        for number in range(int(kills)):
            victim = number % 2
            os.kill(pids[victim], signal.SIGUSR1)
            os.waitpid(pids[victim], 0)
            pids[victim] = started(runtime, ports[victim], plain=protocol == "plain")
            time.sleep(_SETTLED_S)
        sys.stdout.write("killed\n")
        sys.stdout.flush()
        sys.stdin.readline()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])

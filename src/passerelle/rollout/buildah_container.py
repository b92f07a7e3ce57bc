"""Run an image with Buildah, which has no daemon, and hold it to its golden predictions.

Buildah's isolation is weaker than a container engine's: the image's user and no capability, but no limits, and the network of the machine.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

import requests

from passerelle.bentos.engine import ask, check_architecture, failed, inspect
from passerelle.bentos.tool_environment import tool_environment
from passerelle.errors import OutsideError
from passerelle.model.golden import Golden
from passerelle.rollout.smoke import SmokeReport, replay_over_http

#: Without overlay mounts, Buildah copies the whole image for a container.
_COPY_TIMEOUT_S = 600.0
_READY_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30.0
#: Ends the service when its input ends: no signal reaches a process in another user namespace.
_SUPERVISE = (
    "import subprocess,sys,threading;p=subprocess.Popen(sys.argv[1:]);"
    "threading.Thread(target=lambda:(sys.stdin.read(),p.terminate()),daemon=True).start();sys.exit(p.wait())"
)


@dataclass(frozen=True)
class BuildahRun:
    """What a container of the image did: seconds until it was ready, its answers, its exit code, and seconds until it ended."""

    ready_seconds: float
    smoke: SmokeReport
    exit_code: int
    stop_seconds: float


def smoke(image: str, golden: Golden, *, expected_version: str, environment: Mapping[str, str]) -> BuildahRun:
    """Return what a container of the image did with the golden inputs, and how it ended.

    Raises:
        IntegrityError: An answer is not the golden one.
        OutsideError: It does not start, or does not end by itself when asked to.
    """
    began = time.perf_counter()
    with _running(image, environment) as (process, address, log):
        _wait_until_ready(process, image, address, log)
        ready = time.perf_counter() - began
        report = replay_over_http(address, golden, expected_version=expected_version)
        began = time.perf_counter()
        try:
            exit_code = _end(process)
        except subprocess.TimeoutExpired as error:
            message = f"{image} did not end within {_STOP_TIMEOUT_S:.0f} s of being asked to"
            raise OutsideError(message, hint="passerelle containerize --no-smoke") from error
        if exit_code != 0:
            raise OutsideError(f"{image} ended with {exit_code} when it was stopped", hint="passerelle containerize --no-smoke")
        return BuildahRun(ready, report, exit_code, time.perf_counter() - began)


@contextmanager
def _running(image: str, environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str, IO[bytes]]]:
    check_architecture("buildah", image)
    started = ask("buildah", "from", "--quiet", image, timeout_s=_COPY_TIMEOUT_S)
    if started.returncode != 0:
        raise failed("buildah", started.stderr, of=f"starting {image}", hint=f"buildah from {image}")
    container, port = started.stdout.strip(), _free_port()
    given = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    service = [*(inspect("buildah", image) or {})["Config"]["Entrypoint"], "--host", "127.0.0.1", "--port", str(port)]
    command = ["buildah", "run", "--network", "host", "--cap-drop", "ALL", *given, container, "--", "python3", "-c", _SUPERVISE, *service]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=tool_environment(), stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            yield process, f"http://127.0.0.1:{port}", log
        finally:
            with suppress(subprocess.TimeoutExpired):
                _end(process)
            if process.poll() is None:
                process.kill()
                process.wait()
            ask("buildah", "rm", container, timeout_s=_COPY_TIMEOUT_S)


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.stdin is not None:
        process.stdin.close()
    return process.wait(_STOP_TIMEOUT_S)


def _wait_until_ready(process: subprocess.Popen[bytes], image: str, address: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(requests.RequestException):
            if requests.get(f"{address}/readyz", timeout=2).ok:
                return
        time.sleep(0.05)
    ended = "ended by itself" if process.poll() is not None else f"is not ready after {_READY_TIMEOUT_S:.0f} s"
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()[-12:]
    last = "\n".join(f"    {line}" for line in lines)
    raise OutsideError(f"the container of {image} {ended}:\n{last}", hint=f"buildah inspect --type image {image}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

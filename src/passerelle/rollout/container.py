"""Run an image as it is to run in production, with no privilege, and hold it to its golden predictions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from passerelle.bentos.engine import ask, check_architecture, failed
from passerelle.errors import OutsideError
from passerelle.model.golden import Golden
from passerelle.rollout import buildah_container
from passerelle.rollout.smoke import SmokeReport, replay_over_http

_TMPFS = "/tmp:rw,size=64m,mode=1777,noexec,nosuid,nodev"  # noqa: S108 - in the container
#: What every manifest under deploy/ grants, and no more.
HARDENED = (
    "--read-only", "--tmpfs", _TMPFS, "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
    "--user", "1034:1034", "--memory", "512m", "--cpus", "1", "--pids-limit", "100",
)  # fmt: skip
_READY_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30


@dataclass(frozen=True)
class Container:
    """A container that runs: its id, and where it answers on loopback."""

    engine: str
    container_id: str
    address: str
    ready_seconds: float


@dataclass(frozen=True)
class ContainerReport:
    """What a container of the image did.

    Attributes:
        ready_seconds: From the command that starts it to its readiness.
        resident_bytes: What it held after the golden inputs, the kernel's page cache left out; None with Buildah.
        exit_code: Of its end by SIGTERM; 0 when it drained.
    """

    image: str
    ready_seconds: float
    resident_bytes: int | None
    smoke: SmokeReport
    exit_code: int
    stop_seconds: float


@contextmanager
def running(engine: str, image: str, *, environment: Mapping[str, str]) -> Iterator[Container]:
    """Yield a hardened container of the image that is ready; it is removed at the end.

    Raises:
        NotFoundError: The engine holds no such image.
        OutsideError: It is for another architecture, does not start, or is not ready within 90 s; holds its last lines.
    """
    check_architecture(engine, image)
    given = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    began = time.perf_counter()
    started = ask(engine, "run", "--detach", "--publish", "127.0.0.1::3000", *HARDENED, *given, image)
    if started.returncode != 0:
        raise failed(engine, started.stderr, of=f"starting {image}", hint=f"{engine} run --rm {image}")
    container_id = started.stdout.strip()
    try:
        address = f"http://{_port(engine, container_id)}"
        _wait_until_ready(engine, container_id, image, address)
        yield Container(engine, container_id, address, time.perf_counter() - began)
    finally:
        ask(engine, "rm", "--force", container_id)


def smoke(engine: str, image: str, golden: Golden, *, expected_version: str, environment: Mapping[str, str]) -> ContainerReport:
    """Return what a hardened container of the image did with the golden inputs, and how it ended.

    Raises:
        IntegrityError: An answer is not the golden one.
        OutsideError: It does not start, or does not end by itself when asked to.
    """
    environment = {"PASSERELLE_AUTH": "off", **environment}
    if engine == "buildah":
        ran = buildah_container.smoke(image, golden, expected_version=expected_version, environment=environment)
        return ContainerReport(image, ran.ready_seconds, None, ran.smoke, ran.exit_code, ran.stop_seconds)
    with running(engine, image, environment=environment) as container:
        report = replay_over_http(container.address, golden, expected_version=expected_version)
        resident = resident_bytes(container)
        began = time.perf_counter()
        stopped = ask(engine, "stop", "--time", str(_STOP_TIMEOUT_S), container.container_id)
        took = time.perf_counter() - began
        ended = ask(engine, "inspect", "--format", "{{.State.ExitCode}}", container.container_id)
        if stopped.returncode != 0 or ended.stdout.strip() != "0":
            raise OutsideError(
                f"{image} ended with {ended.stdout.strip() or stopped.stderr.strip()} when it was stopped",
                hint=f"{engine} run --rm {image}",
            )
        return ContainerReport(image, container.ready_seconds, resident, report, 0, took)


def resident_bytes(container: Container) -> int:
    """Return what the container's processes hold, as its own /proc says: the sum of their proportional set sizes, in bytes."""
    code = (
        "import glob,re;print(sum(int(m[1]) for f in glob.glob('/proc/[0-9]*/smaps_rollup')"
        " for m in [re.search(r'Pss: +([0-9]+)',open(f).read())] if m and '/self/' not in f))"
    )
    done = ask(container.engine, "exec", container.container_id, "python3", "-I", "-S", "-c", code)
    return int(done.stdout.strip() or 0) * 1024


def _port(engine: str, container_id: str) -> str:
    done = ask(engine, "inspect", "--format", '{{json (index .NetworkSettings.Ports "3000/tcp")}}', container_id)
    try:
        bound = json.loads(done.stdout)[0]
    except (ValueError, TypeError, LookupError) as error:
        raise OutsideError(
            f"the container ended at once:\n{_log(engine, container_id)}", hint=f"{engine} logs {container_id[:12]}"
        ) from error
    return f"127.0.0.1:{bound['HostPort']}"


def _wait_until_ready(engine: str, container_id: str, image: str, address: str) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    checked = time.monotonic()
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{address}/readyz", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        if time.monotonic() - checked > 1:
            checked = time.monotonic()
            if ask(engine, "inspect", "--format", "{{.State.Running}}", container_id).stdout.strip() != "true":
                raise OutsideError(
                    f"the container of {image} ended by itself:\n{_log(engine, container_id)}", hint=f"{engine} run --rm {image}"
                )
        time.sleep(0.05)
    raise OutsideError(
        f"the container of {image} is not ready after {_READY_TIMEOUT_S:.0f} s:\n{_log(engine, container_id)}",
        hint=f"{engine} run --rm {image}",
    )


def _log(engine: str, container_id: str) -> str:
    done = ask(engine, "logs", "--tail", "12", container_id, timeout_s=30)
    return "\n".join(f"    {line}" for line in (done.stdout + done.stderr).strip().splitlines()[-12:])

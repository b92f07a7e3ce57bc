"""Serve a bento on this machine: start it, wait for it, check its golden predictions, and only then replace the former one."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import requests

from passerelle.bentos.store import Store
from passerelle.errors import BusyError, IntegrityError, NotFoundError
from passerelle.model.golden import Golden, read_golden
from passerelle.names import GOLDEN, VERSION_LABEL, BentoTag
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports, port_is_taken
from passerelle.platform.private_file import write_private
from passerelle.platform.state import ProcessMark
from passerelle.rollout.following import Following
from passerelle.rollout.service_environment import doors_identity, follow_identity, log_identity, service_environment, with_digest_key
from passerelle.rollout.service_state import RunningService, running_service, state_path
from passerelle.rollout.smoke import SmokeReport, replay_over_http
from passerelle.settings import StoreSettings

__all__ = ["Deployment", "RunningService", "attached", "deploy", "running_service", "service_child", "stop"]

_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Deployment:
    """What `deploy` did, or would do.

    Attributes:
        pid: Of the service; None at a dry run.
        ready_seconds: From the start of the process to readiness.
        changed: False when this bento was served already; nothing was changed then.
        replaced: The bento that was served before, if one was.
        following: What it follows; None for a pinned one.
        first_request: Command that asks it; None where it was not started, or for `demo`, which asks itself.
    """

    address: str | None
    bento_tag: BentoTag
    pid: int | None
    ready_seconds: float
    smoke: SmokeReport | None
    changed: bool
    replaced: str | None = None
    dry_run: bool = False
    following: Following | None = None
    first_request: str | None = None


def deploy(
    bento_tag: BentoTag,
    *,
    settings: StoreSettings,
    state_dir: Path,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> Deployment:
    """Serve the bento in the background and end the former one once the new one is good.

    Args:
        port: On loopback; None for a free one.
        environment: Variables of the service's process; by default those of this one.

    Raises:
        NotFoundError: The store holds no such bento.
        BusyError: Somebody else listens on the port.
        IntegrityError: A golden prediction differs; the former service goes on.
        OutsideError: The service did not get ready; the former one goes on.
    """
    path, golden, version = _bento(settings, bento_tag)
    identity, following = _expected(path, bento_tag, environment, state_dir)
    former = running_service(state_dir)
    if former is not None and _is_as_wanted(former, identity, port):
        smoke = replay_over_http(former.address, golden, expected_version=version, following=following)
        return Deployment(former.address, bento_tag, former.mark.pid, 0.0, smoke, changed=False, dry_run=dry_run)
    replaced = former.bento_tag.partition("#")[0] if former else None
    if dry_run:
        return Deployment(None, bento_tag, None, 0.0, None, changed=True, replaced=replaced, dry_run=True)
    if former is not None and port is not None and former.address.endswith(f":{port}"):
        stop(state_dir)
    child, address = service_child(bento_tag, path, settings, state_dir, port, environment=environment)
    child.start(detached=True)
    with _ended_on_failure(child):
        ready_seconds = _ready(child, address, bento_tag)
        smoke = replay_over_http(address, golden, expected_version=version, following=following)
    stop(state_dir)
    _remember(state_dir, RunningService(address, identity, version, ProcessMark.of(child.pid)))
    return Deployment(address, bento_tag, child.pid, ready_seconds, smoke, changed=True, replaced=replaced)


@contextmanager
def _ended_on_failure(child: Child) -> Iterator[None]:
    try:
        yield
    except BaseException:
        child.stop()
        raise


def _ready(child: Child, address: str, bento_tag: BentoTag) -> float:
    """Wait until the service that was just started is ready, and return how many seconds that took."""
    began = time.monotonic()
    child.wait_until_healthy(_READY_TIMEOUT_S, also=lambda: _check_not_refused(address, bento_tag, child))
    return time.monotonic() - began


def _is_as_wanted(former: RunningService, identity: str, port: int | None) -> bool:
    return former.bento_tag == identity and port in (None, int(former.address.rpartition(":")[2]))


def _remember(state_dir: Path, service: RunningService) -> None:
    write_private(state_path(state_dir), json.dumps(asdict(service), indent=1))


@contextmanager
def attached(
    bento_tag: BentoTag,
    *,
    settings: StoreSettings,
    state_dir: Path,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[Child, Deployment]]:
    """Serve the bento as long as the body runs; it ends with this process, even if that is killed.

    Raises:
        As `deploy`.
    """
    path, golden, version = _bento(settings, bento_tag)
    child, address = service_child(bento_tag, path, settings, state_dir, port, environment=environment)
    child.start()
    try:
        ready_seconds = _ready(child, address, bento_tag)
        following = bool(follow_identity(child.environment))
        smoke = replay_over_http(address, golden, expected_version=version, following=following)
        yield child, Deployment(address, bento_tag, child.pid, ready_seconds, smoke, changed=True)
    finally:
        child.stop()


def service_child(
    bento_tag: BentoTag,
    path: Path,
    settings: StoreSettings,
    state_dir: Path,
    port: int | None,
    *,
    environment: Mapping[str, str] | None = None,
) -> tuple[Child, str]:
    """Return the service's process, not yet started, and its address.

    Raises:
        BusyError: Somebody else listens on the port.
    """
    if port is not None and port_is_taken(port):
        raise BusyError(f"the port {port} is taken by {_holder(port)}", hint="passerelle deploy --port 0")
    number = port or free_ports(1)[0]
    address = f"http://127.0.0.1:{number}"
    command = [sys.executable, "-m", "bentoml", "serve", str(bento_tag), "--host", "127.0.0.1", "--port", str(number)]
    given = with_digest_key(service_environment(os.environ if environment is None else environment, state_dir), state_dir)
    variables = given | {
        "BENTOML_HOME": str(settings.bentoml_home),
        "BENTOML_DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PASSERELLE_KEYS_FILE": given.get("PASSERELLE_KEYS_FILE", str(state_dir.resolve() / "keys.json")),
        # The code of the bento is served, not the working copy.
        "PYTHONPATH": str(path / "src" / "src"),
    }
    log = state_dir.resolve() / "logs" / f"service-{number}.log"
    return Child(f"the service {bento_tag}", command, variables, log, f"{address}/readyz", cwd=state_dir.resolve()), address


def stop(state_dir: Path) -> RunningService | None:
    """End the service that `deploy` started; what is in flight is answered first. Return it, or None when none ran."""
    service = running_service(state_dir)
    if service is not None:
        process = psutil.Process(service.mark.pid)
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, survivors = psutil.wait_procs(family, timeout=_STOP_TIMEOUT_S)
        for each in survivors:
            each.kill()
    state_path(state_dir).unlink(missing_ok=True)
    return service


def _check_not_refused(address: str, bento_tag: BentoTag, child: Child) -> None:
    """Stop waiting for a service that will never be ready.

    Raises:
        IntegrityError: Its model is not what was registered, or does not reproduce its golden predictions; holds what it logged.
    """
    try:
        state = requests.get(f"{address}/readyz", timeout=2.0).json()
    except (requests.RequestException, ValueError):
        return
    if state.get("reason") == "model_refused":
        message = f"the service refuses the model of {bento_tag}:\n{child.log_tail()}"
        raise IntegrityError(message, hint=f"bentoml models delete {bento_tag}; passerelle import; passerelle build; passerelle deploy")


def _bento(settings: StoreSettings, bento_tag: BentoTag) -> tuple[Path, Golden, str]:
    store = Store(settings)
    bento = store.bento(bento_tag)
    model = store.model(bento_tag)
    if bento is None or model is None:
        raise NotFoundError(f"the BentoML store holds no bento {bento_tag} with its model", hint="passerelle build; bentoml list")
    folder = Path(model.path)
    return Path(bento.path), read_golden(folder / GOLDEN), str(model.info.labels[VERSION_LABEL])


def _expected(path: Path, bento_tag: BentoTag, environment: Mapping[str, str] | None, state_dir: Path) -> tuple[str, bool]:
    """Return what distinguishes the expected service from any other, and whether it follows the registry."""
    given = os.environ if environment is None else environment
    followed = follow_identity(service_environment(given, state_dir))
    return _identity(path, bento_tag) + followed + log_identity(given) + doors_identity(given), bool(followed)


def _identity(path: Path, bento_tag: BentoTag) -> str:
    """Return the tag with the time of the build: a bento that was built again is another one."""
    return f"{bento_tag}#{path.stat().st_mtime_ns}"


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr[1:2] == (port,):
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another process"

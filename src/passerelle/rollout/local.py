"""Serve a bento on this machine: start it, wait for it, check its golden predictions, and only then replace the former one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import requests

from passerelle.bentos.store import Store
from passerelle.errors import BusyError, IntegrityError, NotFoundError
from passerelle.model.golden import Golden, read_golden
from passerelle.names import GOLDEN, REGISTERED_MODEL_LABEL, VERSION_LABEL, BentoTag
from passerelle.platform.child import Child, kill_all
from passerelle.platform.ports import free_ports, port_is_taken
from passerelle.platform.state import ProcessMark
from passerelle.port_holder import port_holder
from passerelle.rollout.following import Following
from passerelle.rollout.service_environment import doors_identity, follow_identity, log_identity, service_environment, with_digest_key
from passerelle.rollout.service_ports import service_port
from passerelle.rollout.service_state import RunningService, forget, is_recorded, remember, running_service
from passerelle.rollout.smoke import SmokeReport, replay_over_http
from passerelle.settings import StoreSettings

__all__ = ["Deployment", "RunningService", "attached", "deploy", "is_recorded", "running_service", "service_child", "stop"]

_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class ServedBento:
    """A bento with what is known of its model."""

    path: Path
    golden: Golden
    version: str
    registered_model: str


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
    progress: Callable[[str], None] = lambda _: None,
) -> Deployment:
    """Serve the bento in the background and end the former one of the same registered model once the new one is good.

    Args:
        port: On loopback; None for the one that the model's service had before.
        environment: Variables of the service's process; by default those of this one.

    Raises:
        NotFoundError: The store holds no such bento.
        BusyError: Somebody else listens on the port.
        IntegrityError: A golden prediction differs; the former one goes on.
        OutsideError: The service did not get ready; the former one goes on.
    """
    bento = _bento(settings, bento_tag)
    identity, following = _expected(bento.path, bento_tag, environment, state_dir)
    former = running_service(state_dir, bento.registered_model)
    if former and _is_as_wanted(former, identity, port):
        smoke = replay_over_http(former.address, bento.golden, expected_version=bento.version, following=following)
        return Deployment(former.address, bento_tag, former.mark.pid, 0.0, smoke, changed=False, dry_run=dry_run)
    planned = Deployment(None, bento_tag, None, 0.0, None, changed=True, replaced=former.tag if former else None, dry_run=dry_run)
    if dry_run:
        return planned
    _free(state_dir, former, port)
    port = port or service_port(state_dir, bento.registered_model, progress)
    child, address = service_child(bento_tag, bento.path, settings, state_dir, port, environment=environment)
    child.start(detached=True)
    with _ended_on_failure(child):
        ready_seconds = _ready(child, address, bento_tag)
        smoke = replay_over_http(address, bento.golden, expected_version=bento.version, following=following)
    _replace(state_dir, former, RunningService(address, identity, bento.version, ProcessMark.of(child.pid), bento.registered_model))
    return replace(planned, address=address, pid=child.pid, ready_seconds=ready_seconds, smoke=smoke)


def _free(state_dir: Path, former: RunningService | None, port: int | None) -> None:
    """End the former service where it has the very port that was asked for."""
    if former is not None and port is not None and former.address.endswith(f":{port}"):
        _end(state_dir, former)


def _replace(state_dir: Path, former: RunningService | None, service: RunningService) -> None:
    # Before the former one ends: `up`, where it runs that one, reads here that it was replaced.
    remember(state_dir, service)
    if former is not None:
        _end(state_dir, former)


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
    # One of `up` or `serve` ends with its terminal, and one of `deploy` does not.
    return former.started_by == "deploy" and former.bento_tag == identity and port in (None, int(former.address.rpartition(":")[2]))


@contextmanager
def attached(
    bento_tag: BentoTag,
    *,
    settings: StoreSettings,
    state_dir: Path,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    started_by: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[Child, Deployment]]:
    """Serve the bento as long as the body runs; it ends with this process, even if that is killed.

    Args:
        started_by: The command by which other commands know of this service, which then has the port that it had before; None for
            one that they do not know of. One that runs already stays the one that they know of.

    Raises:
        As `deploy`.
    """
    bento = _bento(settings, bento_tag)
    if started_by is not None:
        port = port or service_port(state_dir, bento.registered_model, progress)
    child, address = service_child(bento_tag, bento.path, settings, state_dir, port, environment=environment)
    child.start()
    service = None
    try:
        ready_seconds = _ready(child, address, bento_tag)
        following = bool(follow_identity(child.environment))
        smoke = replay_over_http(address, bento.golden, expected_version=bento.version, following=following)
        if started_by is not None and running_service(state_dir, bento.registered_model) is None:
            identity, _ = _expected(bento.path, bento_tag, environment, state_dir)
            service = RunningService(address, identity, bento.version, ProcessMark.of(child.pid), bento.registered_model, started_by)
            remember(state_dir, service)
        yield child, Deployment(address, bento_tag, child.pid, ready_seconds, smoke, changed=True)
    finally:
        if service is not None:
            forget(state_dir, service)
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
        raise BusyError(f"the port {port} is taken by {port_holder(port)}", hint="passerelle deploy --port 0\npasserelle serve --port 0")
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
    log = state_dir.resolve() / "logs" / f"service-{bento_tag.name}-{number}.log"
    return Child(f"the service {bento_tag}", command, variables, log, f"{address}/readyz", cwd=state_dir.resolve()), address


def stop(state_dir: Path, registered_model: str) -> RunningService | None:
    """End the service of a registered model; what is in flight is answered first. Return it, or None when none ran."""
    service = running_service(state_dir, registered_model)
    if service is not None:
        _end(state_dir, service)
    return service


def _end(state_dir: Path, service: RunningService) -> None:
    # Before it ends: `up`, where it runs it, reads here that this was on purpose.
    forget(state_dir, service)
    # It may have ended by itself since it was looked up.
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(service.mark.pid)
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, survivors = psutil.wait_procs(family, timeout=_STOP_TIMEOUT_S)
        kill_all(survivors)


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


def _bento(settings: StoreSettings, bento_tag: BentoTag) -> ServedBento:
    store = Store(settings)
    bento = store.bento(bento_tag)
    model = store.model(bento_tag)
    if bento is None or model is None:
        raise NotFoundError(f"the BentoML store holds no bento {bento_tag} with its model", hint="passerelle build; bentoml list")
    folder, labels = Path(model.path), model.info.labels
    name = labels.get(REGISTERED_MODEL_LABEL, bento_tag.name)
    return ServedBento(Path(bento.path), read_golden(folder / GOLDEN), str(labels[VERSION_LABEL]), name)


def _expected(path: Path, bento_tag: BentoTag, environment: Mapping[str, str] | None, state_dir: Path) -> tuple[str, bool]:
    """Return what distinguishes the expected service from any other, and whether it follows the registry."""
    given = os.environ if environment is None else environment
    followed = follow_identity(service_environment(given, state_dir))
    return _identity(path, bento_tag) + followed + log_identity(given) + doors_identity(given), bool(followed)


def _identity(path: Path, bento_tag: BentoTag) -> str:
    """Return the tag with the time of the build: a bento that was built again is another one."""
    return f"{bento_tag}#{path.stat().st_mtime_ns}"

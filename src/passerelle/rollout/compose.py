"""Put an image behind the compose stack's proxy, one replica after the other, or leave everything as it was."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

import passerelle
from passerelle.bentos.engine import Inspected, ask, check_architecture, inspect
from passerelle.errors import BusyError, NotFoundError, OutsideError, PasserelleError, shell_word
from passerelle.names import BentoTag
from passerelle.rollout import secret_changes
from passerelle.rollout.following import Following
from passerelle.rollout.release import Release
from passerelle.rollout.replicas import run_in_replica
from passerelle.rollout.secret_files import API_KEY, make_later_secrets, read_secret
from passerelle.rollout.smoke import SmokeReport, inside, replay
from passerelle.rollout.stack import REPLICAS, Stack
from passerelle.rollout.stack_images import check_build_settings, folder_digests

_EXEC_TIMEOUT_S = 120.0
_READY_WITHIN_S = 120
#: Started as what the others depend on, or in turn.
_BY_ITSELF = ("setup", "minio", "postgres", *REPLICAS)
#: Folders that are mounted as they are.
_MOUNTED = ("prometheus", "grafana", "alertmanager")
#: Variables of compose.yaml, by the setting of the service that each becomes.
_SETTINGS = {
    "SERVICE_WORKERS": "PASSERELLE_WORKERS",
    "SERVICE_RATE_LIMIT": "PASSERELLE_RATE_LIMIT",
    "SERVICE_VERIFY": "PASSERELLE_VERIFY",
    "PASSERELLE_TRUSTED_TYPES": "PASSERELLE_TRUSTED_TYPES",
    "PASSERELLE_ENVIRONMENT": "PASSERELLE_ENVIRONMENT",
    "SERVICE_PREDICTION_LOG": "PASSERELLE_PREDICTION_LOG",
    "PASSERELLE_LOG_TEXT": "PASSERELLE_LOG_TEXT",
    "PASSERELLE_LOG_TEXT_REASON": "PASSERELLE_LOG_TEXT_REASON",
    "PASSERELLE_LOG_COLUMN": "PASSERELLE_LOG_COLUMN",
    "PASSERELLE_LOG_MAX_BYTES": "PASSERELLE_LOG_MAX_BYTES",
    "PASSERELLE_FOLLOW": "PASSERELLE_FOLLOW",
    "PASSERELLE_FOLLOW_LEDGER": "PASSERELLE_FOLLOW_LEDGER",
    "PASSERELLE_FOLLOW_CANDIDATE": "PASSERELLE_FOLLOW_CANDIDATE",
    "PASSERELLE_FOLLOW_INTERVAL_S": "PASSERELLE_FOLLOW_INTERVAL_S",
    "PASSERELLE_FOLLOW_MAX_BYTES": "PASSERELLE_FOLLOW_MAX_BYTES",
}
#: What `docker inspect` says of a replica that ran; None for one that did not.
Former = Inspected | None


@dataclass(frozen=True)
class StackDeployment:
    """What `deploy` did with the stack, or would do.

    Attributes:
        address: Of the proxy; None at a dry run.
        changed: False when both replicas ran this image already.
        replaced: Image that was served before, if one was.
        seconds: From the first change to the last replica that answers.
        following: What the replicas follow; None for pinned ones.
    """

    address: str | None
    bento_tag: BentoTag
    image: str
    smoke: SmokeReport | None
    changed: bool
    seconds: float = 0.0
    replaced: str | None = None
    dry_run: bool = False
    following: Following | None = None


@dataclass(frozen=True)
class Prepared:
    """What `deploy --init` did with a stack whose registry has nothing in production yet.

    Attributes:
        tracking_uri: Address of the stack's MLflow.
        secrets: Names of those that were made now.
        missing: What there is to be deployed yet.
        next_command: What leads there.
    """

    tracking_uri: str
    secrets: tuple[str, ...]
    missing: str
    next_command: str


def bring_up(stack: Stack, *, init: bool, progress: Callable[[str], None]) -> tuple[str, ...]:
    """Start the platform, build what is missing, wait until it is healthy, and return the names of the secrets that were made.

    Replicas that run are left alone: compose would give both a changed setting at once. `deploy` replaces them in turn.

    Raises:
        NotFoundError: A secret is missing, and `init` does not ask for it to be made, or its volume was made with another.
        SettingsError: A secret is empty, or others may read it; or a file that images are built with is not what its setting says.
        BusyError: A port is taken, or a deployment is under way.
        OutsideError: There is no engine, or something does not get healthy.
    """
    stack.check()
    check_build_settings()
    with _alone(stack):
        new_secrets = stack.make_secrets() if init else ()
        stack.check_secrets()
        new_secrets += make_later_secrets(stack.secrets)
        _readable_in_containers(stack.folder)
        _forget_lost_image(stack, progress)
        progress("starting the stack; the first time its images are built, which takes some minutes")
        services = stack.must("config", "--services", of="reading compose.yaml").split()
        # The prober, the collector and the backup run the code of this installation, which a project need not hold.
        code = {"PASSERELLE_CODE": str(Path(passerelle.__file__).resolve().parent)}
        # Plain `docker compose` is to take the same images.
        stack.remember({**code, **folder_digests(stack.folder)})
        secret_changes.start(stack, [name for name in services if name not in _BY_ITSELF], progress=progress)
        if set(REPLICAS) & set(services):
            # Not waited for: what is served is not part of the platform, and may be what is to be replaced.
            stack.compose("up", "--detach", "--no-recreate", "--no-deps", "--no-build", "--pull", "never", *REPLICAS)
    return new_secrets


def _forget_lost_image(stack: Stack, progress: Callable[[str], None]) -> None:
    """Leave the replicas out of .env where the engine no longer holds their image: plain `docker compose up` would start nothing at all."""
    values = stack.values()
    image, profiles = values.get("SERVICE_IMAGE"), [name for name in values.get("COMPOSE_PROFILES", "").split(",") if name]
    if image and "service" in profiles and inspect("docker", image) is None:
        stack.remember({"COMPOSE_PROFILES": ",".join(name for name in profiles if name != "service")})
        progress(f"docker no longer holds the image that was deployed ({image[:19]}); to serve again: passerelle deploy --target compose")


def _readable_in_containers(folder: Path) -> None:
    """Open the configuration that is mounted, which is no secret, to the containers' users: a clone made under a strict umask is closed."""
    for path in (path for name in _MOUNTED for path in (folder / name, *(folder / name).rglob("*"))):
        mode = 0o755 if path.is_dir() else 0o644
        if path.stat().st_mode & mode != mode:
            try:
                path.chmod(mode)
            except PermissionError as error:
                raise OutsideError(f"its container cannot read {path}", hint=f"sudo chmod -R go+rX {shell_word(path.parent)}") from error


def deploy(stack: Stack, release: Release, *, dry_run: bool = False, progress: Callable[[str], None] = lambda _: None) -> StackDeployment:
    """Serve the image from both replicas; while one is replaced, the other answers.

    Raises:
        NotFoundError: The engine holds no such image.
        IntegrityError: A golden prediction differs; says what the replicas are.
        OutsideError: A replica does not get healthy; says what the replicas are.
        BusyError: Another deployment is under way.
    """
    stack.check()
    stack.check_secrets()
    if dry_run and inspect("docker", release.image) is None:
        return StackDeployment(None, release.bento_tag, release.image, None, changed=True, dry_run=True)
    check_architecture("docker", release.image)
    image = inspect("docker", release.image)
    if image is None:
        raise NotFoundError(f"docker holds no image {release.image}", hint="passerelle containerize")
    identity = str(image["Id"])
    if dry_run:
        former = _serving(stack)
        changed = not all(_is_as_wanted(stack, before, identity) for before in former)
        return StackDeployment(None, release.bento_tag, release.image, None, changed, replaced=_other(former, identity), dry_run=True)
    with _alone(stack):
        return _deployed(stack, identity, release, progress)


def _deployed(stack: Stack, identity: str, release: Release, progress: Callable[[str], None]) -> StackDeployment:
    began = time.monotonic()
    make_later_secrets(stack.secrets)
    former = _serving(stack)
    changed = not all(_is_as_wanted(stack, before, identity) for before in former)
    if changed:
        smoke = _replace(stack, identity, former, release, progress)
    else:
        smoke = [_replayed(stack, replica, release) for replica in REPLICAS][-1]
    _remember(stack, identity, release)
    seconds = time.monotonic() - began if changed else 0.0
    return StackDeployment(stack.service_address(), release.bento_tag, release.image, smoke, changed, seconds, _other(former, identity))


@contextmanager
def _alone(stack: Stack) -> Iterator[None]:
    """Hold the stack for one deployment; another command that changes its replicas is refused."""
    lock = FileLock(stack.folder / ".deploy.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"another deployment to {stack.folder} is under way; run this command again once it has ended") from None
    except OSError as error:
        message = f"{lock.lock_file} cannot be written: {error.strerror}"
        raise OutsideError(message, hint=f'sudo chown -R "$USER" {shell_word(stack.folder)}') from error
    try:
        yield
    finally:
        lock.release()


def _remember(stack: Stack, identity: str, release: Release) -> None:
    profiles = [name for name in stack.values().get("COMPOSE_PROFILES", "").split(",") if name and name != "service"]
    stack.remember(
        {"SERVICE_IMAGE": identity, "SERVICE_BENTO": str(release.bento_tag), "COMPOSE_PROFILES": ",".join([*profiles, "service"])}
    )


def _serving(stack: Stack) -> list[Former]:
    """Return what the engine knows of each replica that runs; None for one that does not."""
    containers = stack.containers()
    return [containers[name] if name in containers and containers[name]["State"]["Running"] else None for name in REPLICAS]


def _other(former: Sequence[Former], identity: str) -> str | None:
    return next((before["Image"] for before in former if before is not None and before["Image"] != identity), None)


def _is_as_wanted(stack: Stack, before: Former, identity: str) -> bool:
    """Return whether a replica runs with this image and with the limits and settings that compose.yaml gives it now."""
    if before is None or before["Image"] != identity:
        return False
    name = before["Config"]["Labels"]["com.docker.compose.service"]
    config = stack.compose("--profile", "service", "config", "--hash", name, variables={"SERVICE_IMAGE": identity})
    wanted_hash = config.stdout.split()[-1:]
    return config.returncode != 0 or wanted_hash == [before["Config"]["Labels"].get("com.docker.compose.config-hash")]


def _replace(stack: Stack, identity: str, former: Sequence[Former], release: Release, progress: Callable[[str], None]) -> SmokeReport:
    """Replace the replicas in turn, one that is down first; when it fails or is interrupted, put those that were touched back.

    The proxy needs no word of it: what the replica that goes did not answer, it asks of the other.
    """
    touched: list[int] = []
    try:
        for place in sorted(range(len(REPLICAS)), key=lambda place: former[place] is not None):
            touched.append(place)
            progress(f"{REPLICAS[place]}: {release.bento_tag}")
            smoke = _replaced(stack, place, identity, release)
    except BaseException as error:
        failures = [failure for place in reversed(touched) if (failure := _put_back(stack, place, former[place], progress))]
        outcome = "; ".join(failures) or "all is as it was before"
        if isinstance(error, PasserelleError):
            raise type(error)(f"{error.message}\n  {outcome}", hint=error.hint) from error
        if failures:
            raise OutsideError(f"the deployment was interrupted; {outcome}", hint="passerelle deploy --target compose") from error
        raise
    return smoke


def _put_back(stack: Stack, place: int, before: Former, progress: Callable[[str], None]) -> str | None:
    """Make a replica what it was, and return what is wrong where that fails."""
    replica = REPLICAS[place]
    progress(f"{replica}: as it was before")
    if before is None:
        done = stack.compose("--profile", "service", "rm", "--stop", "--force", replica)
    else:
        done = _start(stack, place, _variables(before))
    if done.returncode == 0:
        return None
    reason = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return f"{replica} could not be put back to what it was: {reason}"


def _variables(before: Inspected) -> dict[str, str]:
    """Return the variables of compose.yaml by which a replica was started."""
    given = dict(variable.partition("=")[::2] for variable in before["Config"]["Env"])
    host = before["HostConfig"]
    limits = {"SERVICE_MEMORY": str(host["Memory"]), "SERVICE_CPUS": f"{host['NanoCpus'] / 1e9:g}"}
    # Given even where they are empty, as .env may say something else by now: without a folder of the log, nothing is recorded.
    settings = {variable: given.get(name, "") for variable, name in _SETTINGS.items()}
    return {"SERVICE_IMAGE": before["Image"], **limits, **settings}


def _replaced(stack: Stack, place: int, identity: str, release: Release) -> SmokeReport:
    done = _start(stack, place, {"SERVICE_IMAGE": identity})
    if done.returncode != 0:
        log = ask("docker", "logs", "--tail", "12", stack.containers().get(REPLICAS[place], {}).get("Id", REPLICAS[place]))
        last_lines = "\n".join(f"    {line}" for line in (log.stdout + log.stderr).strip().splitlines()[-12:])
        raise OutsideError(
            f"{REPLICAS[place]} does not get ready with {release.bento_tag}:\n{last_lines or done.stderr.strip()}",
            hint="passerelle containerize; passerelle status",
        )
    return _replayed(stack, REPLICAS[place], release)


def _start(stack: Stack, place: int, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    # With a timeout: a container that the kernel kills for its memory is restarted again and again and never becomes 'unhealthy'.
    waited = ("--wait", "--wait-timeout", str(_READY_WITHIN_S))
    arguments = ("--profile", "service", "up", "--detach", *waited, "--no-deps", "--no-build", REPLICAS[place])
    return stack.compose(*arguments, variables=variables)


def _replayed(stack: Stack, replica: str, release: Release) -> SmokeReport:
    run = partial(run_in_replica, stack, replica, timeout_s=_EXEC_TIMEOUT_S)
    asker = inside(run, where=replica, api_key=read_secret(stack.secrets, API_KEY))
    return replay(asker, release.golden, where=replica, expected_version=release.model_version, following=stack.follows())

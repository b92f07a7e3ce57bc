"""Put an image behind the compose stack's proxy, one replica after the other, or leave everything as it was."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from passerelle.bentos.engine import ask, check_architecture, inspect
from passerelle.errors import IntegrityError, NotFoundError, OutsideError
from passerelle.names import BentoTag
from passerelle.rollout.release import Release
from passerelle.rollout.secret_files import API_KEY, check_secrets, make_secrets, read_secret
from passerelle.rollout.smoke import SmokeReport, inside, replay
from passerelle.rollout.stack import REPLICAS, Stack

_EXEC_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class StackDeployment:
    """What `deploy` did with the stack, or would do.

    Attributes:
        address: Of the proxy; None at a dry run.
        changed: False when both replicas ran this image already.
        replaced: Image that was served before, if one was.
        seconds: From the first change to the last replica that answers.
    """

    address: str | None
    bento_tag: BentoTag
    image: str
    smoke: SmokeReport | None
    changed: bool
    seconds: float = 0.0
    replaced: str | None = None
    dry_run: bool = False


def bring_up(stack: Stack, *, init: bool, progress: Callable[[str], None]) -> tuple[str, ...]:
    """Start all that has an image, build what is missing, wait until it is healthy, and return the names of the secrets that were made.

    Raises:
        NotFoundError: A secret is missing, and `init` does not ask for it to be made.
        SettingsError: A secret is empty, or others may read it.
        BusyError: A port is taken.
        OutsideError: There is no engine, or something does not get healthy.
    """
    stack.check()
    made = make_secrets(stack.secrets) if init else ()
    check_secrets(stack.secrets)
    progress("starting the stack; the first time its images are built, which takes some minutes")
    stack.must("up", "--detach", "--wait", of="starting the stack")
    return made


def deploy(stack: Stack, release: Release, *, dry_run: bool = False, progress: Callable[[str], None] = lambda _: None) -> StackDeployment:
    """Serve the image from both replicas; while one is replaced, the other answers.

    Raises:
        NotFoundError: The engine holds no such image.
        IntegrityError: A golden prediction differs; the replicas are what they were.
        OutsideError: A replica does not get healthy; the replicas are what they were.
    """
    stack.check()
    check_secrets(stack.secrets)
    check_architecture("docker", release.image)
    held = inspect("docker", release.image)
    if held is None:
        raise NotFoundError(f"docker holds no image {release.image}", hint="passerelle containerize")
    identity, former = str(held["Id"]), _serving(stack)
    replaced = next((image for image in former if image not in (None, identity)), None)
    if dry_run:
        changed = former != [identity] * len(REPLICAS)
        return StackDeployment(None, release.bento_tag, release.image, None, changed, replaced=replaced, dry_run=True)
    began = time.monotonic()
    if former == [identity] * len(REPLICAS):
        smoke = [_replayed(stack, replica, release) for replica in REPLICAS][-1]
        _remember(stack, identity, release)
        return StackDeployment(stack.address("proxy", 8080), release.bento_tag, release.image, smoke, changed=False, replaced=None)
    smoke = _replace(stack, identity, former, release, progress)
    _remember(stack, identity, release)
    seconds = time.monotonic() - began
    return StackDeployment(stack.address("proxy", 8080), release.bento_tag, release.image, smoke, True, seconds, replaced)


def _remember(stack: Stack, identity: str, release: Release) -> None:
    profiles = [name for name in stack.values().get("COMPOSE_PROFILES", "").split(",") if name and name != "service"]
    stack.remember(
        {"SERVICE_IMAGE": identity, "SERVICE_BENTO": str(release.bento_tag), "COMPOSE_PROFILES": ",".join([*profiles, "service"])}
    )


def _serving(stack: Stack) -> list[str | None]:
    """Return the image of each replica that runs; None for one that does not."""
    held = stack.containers()
    return [held[name]["Image"] if name in held and held[name]["State"]["Running"] else None for name in REPLICAS]


def _replace(stack: Stack, identity: str, former: Sequence[str | None], release: Release, progress: Callable[[str], None]) -> SmokeReport:
    """Replace the replicas in turn; on failure put those that were touched back, and raise.

    The proxy needs no word of it: what the replica that goes did not answer, it asks of the other.
    """
    touched: list[int] = []
    try:
        for place, replica in enumerate(REPLICAS):
            touched.append(place)
            progress(f"{replica}: {release.bento_tag}")
            smoke = _replaced(stack, place, identity, release)
    except (OutsideError, IntegrityError):
        for place in reversed(touched):
            progress(f"{REPLICAS[place]}: as it was before")
            before = former[place]
            if before is None:
                stack.compose("--profile", "service", "rm", "--stop", "--force", REPLICAS[place])
            else:
                _start(stack, place, before)
        raise
    return smoke


def _replaced(stack: Stack, place: int, identity: str, release: Release) -> SmokeReport:
    done = _start(stack, place, identity)
    if done.returncode != 0:
        log = ask("docker", "logs", "--tail", "12", stack.containers().get(REPLICAS[place], {}).get("Id", REPLICAS[place]))
        said = "\n".join(f"    {line}" for line in (log.stdout + log.stderr).strip().splitlines()[-12:])
        raise OutsideError(
            f"{REPLICAS[place]} does not get ready with {release.bento_tag}; all is as it was before\n{said or done.stderr.strip()}",
            hint="passerelle containerize; passerelle status",
        )
    return _replayed(stack, REPLICAS[place], release)


def _start(stack: Stack, place: int, image: str) -> subprocess.CompletedProcess[str]:
    arguments = ("--profile", "service", "up", "--detach", "--wait", "--no-deps", "--no-build", REPLICAS[place])
    return stack.compose(*arguments, variables={"SERVICE_IMAGE": image})


def _replayed(stack: Stack, replica: str, release: Release) -> SmokeReport:
    def run(command: Sequence[str], given: str) -> subprocess.CompletedProcess[str]:
        return stack.compose("--profile", "service", "exec", "-T", replica, *command, given=given, timeout_s=_EXEC_TIMEOUT_S)

    asker = inside(run, where=replica, api_key=read_secret(stack.secrets, API_KEY))
    return replay(asker, release.golden, where=replica, expected_version=release.model_version)

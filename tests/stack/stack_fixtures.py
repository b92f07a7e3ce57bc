"""A stack of the project's own manifests, in a folder and under a name of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from passerelle.platform.ports import free_ports
from passerelle.rollout.stack import Stack
from passerelle.rollout.stack_images import folder_digests
from tests.project_copies import copied_project, fewer_candidates
from tests.steady_client import two_clients
from tests.warm_command import run_command

ROOT = Path(__file__).resolve().parents[2]
PORTS = (
    "MLFLOW_PORT",
    "MINIO_PORT",
    "MINIO_CONSOLE_PORT",
    "SERVICE_PORT",
    "SERVICE_TLS_PORT",
    "PROMETHEUS_PORT",
    "GRAFANA_PORT",
    "AIRFLOW_PORT",
)
COMMENT = "Aucune réponse depuis trois mois"


@dataclass
class StackForTests:
    """A copy of the project whose stack has ports and volumes of its own."""

    folder: Path
    environment: dict[str, str]
    figures: dict[str, float] = field(default_factory=dict)

    def run(self, *command: str, timeout: float = 280, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **(variables or {})}
        if command[0] == "passerelle":
            return run_command(command[1:], environment=environment, cwd=self.folder, timeout_s=timeout)
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False)

    def done(self, *command: str, timeout: float = 280) -> str:
        """Return the output of a command that must succeed."""
        ended = self.run(*command, timeout=timeout)
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
        return ended.stdout

    def compose(self, *arguments: str, **options: Any) -> str:
        return self.done("docker", "compose", "-f", "deploy/compose.yaml", *arguments, **options)

    def secret(self, name: str) -> str:
        return (self.folder / "deploy" / "secrets" / name).read_text().strip()

    def connect(self) -> None:
        """Let the commands that follow reach the stack, as `eval "$(passerelle env --target compose)"` does."""
        self.environment.update(json.loads(self.done("passerelle", "env", "--target", "compose", "--json")))

    def inspected(self) -> dict[str, dict[str, Any]]:
        held = inspected(*self.compose("--profile", "*", "ps", "--all", "--quiet").split())
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in held}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.environment['SERVICE_PORT']}"

    def ask(self, text: str = COMMENT) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.secret('api_key')}"}
        return requests.post(f"{self.address}/classify", json={"text": text}, headers=headers, timeout=20)

    @property
    def stack(self) -> Stack:
        return Stack(self.folder / "deploy")


def copied(folder: Path, name: str) -> StackForTests:
    """Copy what git would hold of the project, and choose free ports."""
    copied_project(ROOT, folder)
    fewer_candidates(folder)
    foreign = ("PASSERELLE_", "MLFLOW_", "AWS_", "BENTOML_", "S3_", "COMPOSE_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    environment |= dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    environment |= {
        "PATH": f"{ROOT / '.venv' / 'bin'}:{environment['PATH']}",
        "COMPOSE_PROJECT_NAME": name,
        # As `.env` has them once the stack was started: some tests call compose before.
        **folder_digests(folder / "deploy"),
        **postgres_user(),
    }
    return StackForTests(folder, environment)


def inspected(*ids: str) -> list[dict[str, Any]]:
    """Return what the engine knows of these containers; to find them by compose first takes six times as much."""
    said = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True, timeout=60).stdout
    found: list[dict[str, Any]] = json.loads(said)
    return found


def postgres_user() -> dict[str, str]:
    """Return the user of the image that stands for PostgreSQL's; the official one's is the default of compose.yaml."""
    image = os.environ.get("POSTGRES_IMAGE", "postgres:17-trixie")
    command = ["docker", "run", "--rm", "--entrypoint", "sh", image, "-c", "id -u postgres; id -g postgres"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()
    return dict(zip(("POSTGRES_UID", "POSTGRES_GID"), said, strict=True))


def refused(stack: StackForTests, *arguments: str, **variables: str) -> str:
    """Return the message of a command that must fail without a stack trace."""
    said = stack.run("passerelle", *(arguments or ("deploy", "--target", "compose")), variables=variables)
    assert said.returncode in (2, 3), said.stdout + said.stderr
    assert "Traceback" not in said.stderr
    assert "  next: " in said.stderr
    return said.stderr


@contextmanager
def removed_at_the_end(stack: StackForTests) -> Iterator[StackForTests]:
    remove = ("docker", "compose", "-f", "deploy/compose.yaml", "--profile", "*", "down", "--volumes", "--timeout", "2")
    # What a run that was killed left behind opens with other secrets.
    stack.run(*remove)
    try:
        yield stack
    finally:
        stack.run(*remove)


@dataclass
class Traffic:
    """What a client saw that asked all the time."""

    statuses: list[int] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    last_failure: float = float("-inf")

    def failed_until_s(self, since: float) -> float:
        """Return how many seconds after that moment of the monotonic clock the last request failed; 0 where none did."""
        return max(0.0, self.last_failure - since)

    @property
    def failed(self) -> int:
        return len(self.errors)

    @property
    def asked(self) -> int:
        return len(self.versions) + len(self.errors)


@contextmanager
def traffic(stack: StackForTests) -> Iterator[Traffic]:
    """Ask all the time from two clients, one that keeps its connection and one that makes a new one each time."""
    seen, ended = Traffic(), threading.Event()

    def answered(status: int, body: bytes, seconds: float) -> None:
        seen.statuses.append(status)
        if status == requests.codes.ok:
            seen.versions.append(json.loads(body)["model_version"])
        else:
            failed(f"{status}: {body.decode(errors='replace')[:200]}")
        seen.longest_s = max(seen.longest_s, seconds)

    def failed(error: object) -> None:
        seen.errors.append(repr(error))
        seen.last_failure = time.monotonic()

    clients = two_clients(stack.address, stack.secret("api_key"), COMMENT, ended=ended.is_set, answered=answered, failed=failed)
    try:
        yield seen
    finally:
        ended.set()
        for client in clients:
            client.join(30)


def until(condition: Any, *, within_s: float, what: str) -> float:
    """Return after how many seconds the condition held."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        if condition():
            return time.monotonic() - began
        time.sleep(0.25)
    raise AssertionError(f"{what}: not within {within_s} s")


def statuses(process: dict[str, Any]) -> dict[str, str]:
    """Return what the kernel says of a container's first process."""
    text = Path(f"/proc/{process['State']['Pid']}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))

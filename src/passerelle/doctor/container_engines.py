"""The container engine, and the compose stack of the project."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

from passerelle.bentos.engine import Inspected, find_engine
from passerelle.count_of import count_of
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.doctor.file_modes import stack_secrets
from passerelle.platform.ports import port_is_taken
from passerelle.port_holder import port_holder
from passerelle.rollout.stack import Stack, find_stack

ENGINE, STACK = "engine", "compose stack"
_START = "passerelle up --target compose"
_TIMEOUT_S = 60.0
_ENGINES = ("docker", "podman", "buildah")
_PORT = re.compile(r"\$\{(\w+_PORT):-(\d+)")


def engine(_: Surroundings) -> Iterator[Diagnosis]:
    """Say which container engine answers."""
    if not any(shutil.which(name) for name in _ENGINES):
        yield not_used(ENGINE, "none of docker, podman and buildah is on the PATH; `containerize` needs one")
        return
    yield fine(ENGINE, f"{find_engine()} answers")


def compose_stack(here: Surroundings) -> Iterator[Diagnosis]:
    """Say which part of the stack does not run as it should, or which port it would not get."""
    if not stack_secrets(here.project).is_dir() or not (here.project / "deploy" / "compose.yaml").is_file():
        yield not_used(STACK, "it was not set up here; `passerelle deploy --target compose --init` does")
        return
    stack = find_stack(here.project)
    stack.check()
    containers = stack.containers()
    if not containers:
        yield from _taken(stack)
        return
    wrong = {name: each["State"] for name, each in containers.items() if _is_wrong(each)}
    for name, state in wrong.items():
        logs = f"{stack.command} logs {name}"
        if state["Running"]:
            yield Diagnosis(STACK, Health.FAULT, f"{name} is {state['Health']['Status']}", hint=logs)
            continue
        message = f"{name} is {state['Status']} (exit code {state['ExitCode']})"
        yield Diagnosis(STACK, Health.FAULT, message, hint=f"{logs}\n{_START}")
    lacking = [name for name in _expected(stack) if name not in containers]
    for name in lacking:
        yield Diagnosis(STACK, Health.FAULT, f"{name} has no container", hint=_START)
    if not wrong and not lacking:
        yield fine(STACK, f"{count_of(len(containers), 'container')}, none that ended or is unhealthy")


def _expected(stack: Stack) -> tuple[str, ...]:
    """Return the services that are to have a container: those of no profile and of the profiles that are on, with a scale above 0."""
    described = stack.compose("config", "--format", "json", timeout_s=_TIMEOUT_S)
    services = json.loads(described.stdout).get("services", {}) if described.returncode == 0 else {}
    return tuple(name for name, service in services.items() if service.get("scale", 1) != 0)


def _is_wrong(container: Inspected) -> bool:
    """Return whether a container ended, or is unhealthy; jobs, which nothing starts again, have ended with 0 once they did their work."""
    state = container["State"]
    if state["Running"]:
        health = state.get("Health")
        return isinstance(health, dict) and health.get("Status") == "unhealthy"
    is_job = container["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    return not is_job or state["ExitCode"] != 0


def _taken(ours: Stack) -> Iterator[Diagnosis]:
    values = ours.values()
    defaults = dict(_PORT.findall((ours.folder / "compose.yaml").read_text(encoding="utf-8")))
    ports = {name: int(number) for name, default in defaults.items() if (number := values.get(name) or default).isdigit()}
    taken = {name: port for name, port in ports.items() if port_is_taken(port)}
    for name, port in taken.items():
        message = f"it does not run, and its port {port} is taken by {port_holder(port)}"
        yield Diagnosis(STACK, Health.FAULT, message, hint=f"export {name}=PORT; passerelle up --target compose")
    if not taken:
        yield Diagnosis(STACK, Health.WARNING, "it was set up and does not run", hint=_START)

"""The container engine, and the compose stack of the project."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

from passerelle.bentos.engine import find_engine
from passerelle.count_of import count_of
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.doctor.file_modes import stack_secrets
from passerelle.platform.ports import port_is_taken
from passerelle.port_holder import port_holder
from passerelle.rollout.stack import Stack, find_stack

ENGINE, STACK = "engine", "compose stack"
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
    containers = {name: each["State"] for name, each in stack.containers().items()}
    if not containers:
        yield from _taken(stack)
        return
    wrong = {name: state for name, state in containers.items() if _is_wrong(state)}
    for name, state in wrong.items():
        how = state["Status"] if not state["Running"] else state["Health"]["Status"]
        yield Diagnosis(STACK, Health.FAULT, f"{name} is {how} (exit code {state['ExitCode']})", hint=f"{stack.command} logs {name}")
    if not wrong:
        yield fine(STACK, f"{count_of(len(containers), 'container')}, none that ended or is unhealthy")


def _is_wrong(state: dict[str, object]) -> bool:
    """Return whether a container ended with a failure, or is unhealthy; jobs that did their work have ended with 0."""
    health = state.get("Health")
    unhealthy = isinstance(health, dict) and health.get("Status") == "unhealthy"
    return unhealthy if state["Running"] else state["ExitCode"] != 0


def _taken(ours: Stack) -> Iterator[Diagnosis]:
    values = ours.values()
    defaults = dict(_PORT.findall((ours.folder / "compose.yaml").read_text(encoding="utf-8")))
    ports = {name: int(number) for name, default in defaults.items() if (number := values.get(name) or default).isdigit()}
    taken = {name: port for name, port in ports.items() if port_is_taken(port)}
    for name, port in taken.items():
        message = f"it does not run, and its port {port} is taken by {port_holder(port)}"
        yield Diagnosis(STACK, Health.FAULT, message, hint=f"export {name}=PORT; passerelle up --target compose")
    if not taken:
        yield Diagnosis(STACK, Health.WARNING, "it was set up and does not run", hint="passerelle up --target compose")

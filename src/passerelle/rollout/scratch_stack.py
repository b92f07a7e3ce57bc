"""A stack beside the one that runs, with ports and volumes of its own, to try a backup in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from passerelle.platform.ports import free_ports
from passerelle.rollout.stack import Stack

_PORTS = ("MLFLOW_PORT", "MINIO_PORT", "MINIO_CONSOLE_PORT")


@contextmanager
def scratch_stack(stack: Stack, *, progress: Callable[[str], None]) -> Iterator[Stack]:
    """Yield an empty stack of the same images and secrets; it is removed with its volumes at the end, whatever happens.

    Raises:
        OutsideError: It does not start.
    """
    name = f"{stack.values().get('COMPOSE_PROJECT_NAME') or 'passerelle'}-drill-{secrets.token_hex(3)}"
    ports = dict(zip(_PORTS, map(str, free_ports(len(_PORTS))), strict=True))
    # Without following: no replica is started, and MLflow needs no account for them.
    overrides = {**stack.overrides, "COMPOSE_PROJECT_NAME": name, "COMPOSE_PROFILES": "", "PASSERELLE_FOLLOW": "", **ports}
    scratch = replace(stack, overrides=overrides)
    try:
        progress(f"a scratch stack, {name}")
        scratch.must("up", "--detach", "--wait", "mlflow", of="starting a scratch stack")
        yield scratch
    finally:
        scratch.compose("down", "--volumes", "--timeout", "2")

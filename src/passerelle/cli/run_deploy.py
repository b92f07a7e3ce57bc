"""`deploy`, to each of the places that it knows."""

from __future__ import annotations

from pathlib import Path

from passerelle.cli import run_bentos, run_stack, show, show_stack
from passerelle.cli.output import Output
from passerelle.errors import UsageError


def deploy(output: Output, target: str, bento_tag: str | None, *, port: int, stop: bool, init: bool, project: Path, dry_run: bool) -> None:
    """Deploy the bento that was named, or the one built last.

    Raises:
        UsageError: An option is given that belongs to another target.
    """
    if target == "local":
        if init:
            raise UsageError("--init makes the secrets of the stack", hint="passerelle deploy --target compose --init")
        return show.deployment(output, run_bentos.deploy(bento_tag, port, stop=stop, dry_run=dry_run))
    if stop or port:
        raise UsageError("--stop and --port are for the service of this machine", hint="docker compose -f deploy/compose.yaml down")
    return show_stack.stack_deployment(output, run_stack.deploy(output, bento_tag, project, init=init, dry_run=dry_run))

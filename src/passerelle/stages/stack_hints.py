"""The commands that a hint names, where a project has a stack: those for the embedded platform would start or ask another one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

#: What mends the embedded platform, and what mends the stack.
_OF_STACK = {
    "passerelle up": "passerelle up --target compose",
    "passerelle deploy": "passerelle deploy --target compose",
    'eval "$(passerelle env)"': 'eval "$(passerelle env --target compose)"',
}
_NAMES_IT = 'eval "$(passerelle env --target compose)"'


def for_stack(commands: str, project: Path, tracking_uri: str | None) -> str:
    """Return commands, as a hint holds them, for the project's stack.

    Args:
        tracking_uri: The MLflow server that was asked. Where it is the stack's, its commands take the place of those for the embedded
            platform; where none is named, the command that names the stack's goes before them.
    """
    if not (set(_OF_STACK) & {part for line in commands.split("\n") for part in line.split("; ")}):
        return commands
    if not ((project / "deploy" / "compose.yaml").is_file() and (project / "deploy" / "secrets").is_dir()):
        return commands
    if tracking_uri is None:
        return f"{_NAMES_IT}\n{commands}" if commands.startswith("passerelle up\n") or commands == "passerelle up" else commands
    if not _is_stacks(tracking_uri, project):
        return commands
    return "\n".join("; ".join(_OF_STACK.get(part, part) for part in line.split("; ")) for line in commands.split("\n"))


def _is_stacks(tracking_uri: str, project: Path) -> bool:
    """Return whether an address is where MLflow of the project's stack is published; the engine is not asked."""
    from passerelle.rollout.stack import find_stack  # noqa: PLC0415 - most hints need nothing of it, and images hold no stack

    values = find_stack(project).values()
    try:
        address = urlsplit(tracking_uri)
        port = address.port
    except ValueError:
        return False
    here = {"127.0.0.1", "localhost", values.get("BIND_ADDRESS") or "127.0.0.1"}
    return address.hostname in here and str(port) == (values.get("MLFLOW_PORT") or "5000")

"""Which parts of the compose stack were started with secrets that have other contents by now: they read them once, at their start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from passerelle.platform.private_file import write_private
from passerelle.regular_file import read_json_file, read_regular_file
from passerelle.rollout.stack import Stack

#: Of each service, what its secrets held when it was started. Closed like the secrets: a short one could be guessed from its digest.
_RECORD = ".in-use"
#: Gives new passwords to the users of MinIO and PostgreSQL, and ends.
_SETUP = "setup"


def start(stack: Stack, services: Sequence[str], *, progress: Callable[[str], None]) -> None:
    """Start services and wait until they are healthy; those whose secrets were changed are started again.

    Args:
        services: Which are started.
        progress: Is told which were started again.

    Raises:
        OutsideError: One does not start.
    """
    digests, before = _digests(stack), _recorded(stack)
    changed = _changed(stack, before, digests)
    if _SETUP in changed:
        stack.must("up", "--detach", "--no-deps", "--force-recreate", _SETUP, of="giving the changed passwords to MinIO and PostgreSQL")
    stack.must("up", "--detach", "--wait", *services, of="starting the stack")
    again = [name for name in services if name in changed]
    if again:
        why = "are not known, as after a start that failed" if before is None else "are others now"
        progress(f"the secrets that these read at their start {why}: {', '.join(again)} started again")
        stack.must("up", "--detach", "--wait", "--no-deps", "--force-recreate", *again, of="starting what reads the changed secrets")
    write_private(stack.secrets / _RECORD, json.dumps(digests, indent=1) + "\n")


def _digests(stack: Stack) -> dict[str, str]:
    """Return a digest of what the secrets of each service hold now that has any."""
    config = json.loads(stack.must("config", "--format", "json", of="reading compose.yaml"))
    files = {name: Path(secret["file"]) for name, secret in config.get("secrets", {}).items()}
    secrets = {name: [each["source"] for each in service.get("secrets") or ()] for name, service in config["services"].items()}
    return {name: _digest([files[each] for each in sorted(of_service)]) for name, of_service in secrets.items() if of_service}


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = b""
        with suppress(OSError):
            content = read_regular_file(path)
        digest.update(hashlib.sha256(path.name.encode()).digest() + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _recorded(stack: Stack) -> dict[str, str] | None:
    """Return the digests that the last start noted; None where none did."""
    with suppress(OSError, ValueError):
        found = read_json_file(stack.secrets / _RECORD)
        return found if isinstance(found, dict) else None
    return None


def _changed(stack: Stack, before: dict[str, str] | None, digests: dict[str, str]) -> set[str]:
    """Return the services that were started with other secrets; all that are there where nobody noted with which."""
    if before is None:
        return set(stack.containers() if digests else ()) & set(digests)
    return {name for name, digest in digests.items() if before.get(name, digest) != digest}

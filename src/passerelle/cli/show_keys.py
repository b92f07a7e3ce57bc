"""How the API keys look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.cli.output import Output

if TYPE_CHECKING:
    from passerelle.api_keys import ApiKey, NewKey


def created(output: Output, name: str, result: NewKey | None, path: Path) -> None:
    """Show a new key, once; None is a dry run."""
    if result is None:
        output.line(f"would make a key for '{name}' in {path}")
        output.result({"name": name, "dry_run": True})
        return
    output.verbatim(result.token)
    output.progress(f"keep it: only its hash is in {path}; send it as Authorization: Bearer …")
    output.result(
        {"name": name, "key_id": result.key.key_id, "token": result.token, "expires": result.key.expires, "rights": result.key.rights}
    )


def listed(output: Output, result: Sequence[ApiKey]) -> None:
    """Show the keys, without their secrets."""
    rows = [
        (key.name, key.key_id, key.state(datetime.now(UTC)), key.created, key.expires or "never", ", ".join(key.rights)) for key in result
    ]
    output.table(("name", "id", "state", "made", "expires", "rights"), rows)
    if not rows:
        output.next_commands("passerelle keys make NAME")
    output.result([dict(zip(("name", "key_id", "state", "created", "expires", "rights"), row, strict=True)) for row in rows])


def revoked(output: Output, result: ApiKey, *, dry_run: bool) -> None:
    """Show which key was revoked."""
    output.line(f"{'would revoke' if dry_run else 'revoked'} '{result.name}' ({result.key_id})")
    output.result({"name": result.name, "key_id": result.key_id, "dry_run": dry_run})

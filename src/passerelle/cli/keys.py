"""API keys of the service: made, listed and revoked."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from passerelle.cli.options import dry_run_option, json_option
from passerelle.cli.output import Output

# Each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys that the service asks for away from loopback."""


@keys.command()
@click.argument("name")
@click.option("--days", type=click.IntRange(min=1), help="Days until it expires.  [default: never]")
@dry_run_option
@json_option
def make(name: str, days: int | None, dry_run: bool, as_json: bool) -> None:
    """Make a key for NAME and print it, once: only its hash is kept."""
    from passerelle.api_keys import check_name, make_key
    from passerelle.settings import ServiceSettings

    output, path = Output(as_json=as_json), ServiceSettings.read().keys_file
    if dry_run:
        check_name(path, name)
        output.line(f"would make a key for « {name} » in {path}")
        output.result({"name": name, "dry_run": True})
        return
    made = make_key(path, name, days=days)
    output.line(made.token)
    output.progress(f"keep it: only its hash is in {path}; send it as Authorization: Bearer …")
    output.result({"name": name, "key_id": made.key.key_id, "token": made.token, "expires": made.key.expires})


@keys.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the keys, without their secrets."""
    from passerelle.api_keys import read_keys
    from passerelle.settings import ServiceSettings

    output, held = Output(as_json=as_json), read_keys(ServiceSettings.read().keys_file)
    rows = [(key.name, key.key_id, key.state(datetime.now(UTC)), key.created, key.expires or "never") for key in held]
    output.table(("name", "id", "state", "made", "expires"), rows)
    output.result([dict(zip(("name", "key_id", "state", "created", "expires"), row, strict=True)) for row in rows])


@keys.command()
@click.argument("name_or_id")
@dry_run_option
@json_option
def revoke(name_or_id: str, dry_run: bool, as_json: bool) -> None:
    """Revoke the key NAME_OR_ID; a running service refuses it within a second."""
    from passerelle.api_keys import active_key, revoke_key
    from passerelle.settings import ServiceSettings

    output, path = Output(as_json=as_json), ServiceSettings.read().keys_file
    key = active_key(path, name_or_id) if dry_run else revoke_key(path, name_or_id)
    output.line(f"{'would revoke' if dry_run else 'revoked'} « {key.name} » ({key.key_id})")
    output.result({"name": key.name, "key_id": key.key_id, "dry_run": dry_run})

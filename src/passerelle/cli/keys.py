"""API keys of the service: made, listed and revoked."""

from __future__ import annotations

import click

from passerelle.api_keys import DEFAULT_RIGHTS, RIGHTS
from passerelle.cli.command_list import WholeSentences
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option
from passerelle.cli.output import Output

# Each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415


@click.group(cls=WholeSentences)
def keys() -> None:
    """Create, list and revoke the API keys of the service."""


@keys.command()
@click.argument("name")
@click.option("--days", type=click.IntRange(min=1), help="Days until it expires.  [default: never]")
@click.option("--right", "rights", multiple=True, type=click.Choice(RIGHTS), help="What it may do; may be repeated.  [default: classify]")
@dry_run_option
@json_option
def make(name: str, days: int | None, rights: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Make a key for NAME and print it, once: only its hash is kept."""
    from passerelle.cli import show_keys
    from passerelle.stages import keys as stage

    output, context = Output(as_json=as_json), surroundings()
    new_key = stage.make(context, name, days=days, rights=rights or DEFAULT_RIGHTS, dry_run=dry_run)
    show_keys.created(output, name, new_key, stage.path(context))


@keys.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the keys, without their secrets."""
    from passerelle.cli import show_keys
    from passerelle.stages import keys as stage

    show_keys.listed(Output(as_json=as_json), stage.listed(surroundings()))


@keys.command()
@click.argument("name_or_id")
@dry_run_option
@json_option
def revoke(name_or_id: str, dry_run: bool, as_json: bool) -> None:
    """Revoke the key NAME_OR_ID; a running service refuses it within a second."""
    from passerelle.cli import show_keys
    from passerelle.stages import keys as stage

    show_keys.revoked(Output(as_json=as_json), stage.revoke(surroundings(), name_or_id, dry_run=dry_run), dry_run=dry_run)

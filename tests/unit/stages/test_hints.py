"""Commands of hints, about one of several registered models."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from passerelle.cli.main import passerelle
from passerelle.stages.hints import TAKE_MODEL, about_model

#: Whose `--model` names the model that a run is adopted as, or whose address names the model.
NAMED_BY_ADDRESS = {"adopt", "convert"}


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command, with what is typed after `passerelle`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


def test_the_commands_that_take_a_model_are_those_that_hints_are_completed_for() -> None:
    taking = {name for name, command in commands(passerelle) if any("--model" in each.opts for each in command.params)}
    assert taking - NAMED_BY_ADDRESS == TAKE_MODEL


@pytest.mark.parametrize(
    ("command", "about"),
    [
        ("passerelle import", "passerelle import --model 'a b'"),
        ("passerelle import; passerelle build\nmake up", "passerelle import --model 'a b'; passerelle build --model 'a b'\nmake up"),
        ("passerelle deploy --target compose", "passerelle deploy --target compose --model 'a b'"),
        ("passerelle rollback --model c", "passerelle rollback --model c"),
        ("passerelle up", "passerelle up"),
        ("PASSERELLE_EXPERIMENT=e passerelle promote --best", "PASSERELLE_EXPERIMENT=e passerelle promote --best --model 'a b'"),
        ("passerelle feedback sample --day 2026-01-01", "passerelle feedback sample --day 2026-01-01 --model 'a b'"),
        ("export PASSERELLE_LOG_TEXT=redacted; passerelle collect", "export PASSERELLE_LOG_TEXT=redacted; passerelle collect"),
    ],
)
def test_a_command_names_the_model_where_it_takes_one(command: str, about: str) -> None:
    assert about_model(command, "a b") == about

"""Every `--help` at 80 columns: nothing of a sentence is cut off, and each command stands there with a whole one."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from passerelle.cli.main import passerelle


def groups_and_commands(command: click.Command = passerelle, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from groups_and_commands(each, (*path, name))


ALL = tuple(groups_and_commands())


def help_of(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(passerelle, info_name="passerelle", terminal_width=80, max_content_width=80)
    for name in path:
        context = click.Context(command, info_name=name, parent=context, terminal_width=80, max_content_width=80)
    return command.get_help(context)


@pytest.mark.parametrize(("path", "command"), ALL, ids=["-".join(path) or "all" for path, _ in ALL])
def test_no_help_cuts_a_sentence(path: tuple[str, ...], command: click.Command) -> None:
    shown = help_of(path, command)
    assert max(map(len, shown.splitlines())) <= 80
    letters = "".join(shown.split())  # a line may end at a hyphen
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        sentence = (each.help or "").partition("\n\n")[0]
        first = " ".join(sentence.split()).partition(". ")[0].removesuffix(".")
        assert first and first.replace(" ", "") in letters, each.name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help and "".join(parameter.help.split()) in letters, parameter.name

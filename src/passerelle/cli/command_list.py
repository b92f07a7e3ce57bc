"""How a group lists its commands: each with a whole sentence, however narrow the terminal is."""

from __future__ import annotations

from collections.abc import Iterable

import click

#: Longer than the first sentence of any command, which Click would cut in the middle.
_UNLIMITED = 1_000


class WholeSentences(click.Group):
    """Lists its commands with the first sentence of each."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands as one section."""
        write_section(formatter, "Commands", (self.commands[name] for name in self.list_commands(ctx)))


def write_section(formatter: click.HelpFormatter, title: str, commands: Iterable[click.Command]) -> None:
    """Write commands as a section, each with its first sentence."""
    with formatter.section(title):
        formatter.write_dl([(str(command.name), command.get_short_help_str(limit=_UNLIMITED)) for command in commands])

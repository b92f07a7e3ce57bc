"""Output of the command line: lines and tables for people, one JSON object for programs."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from passerelle.cli.model_choice import about_named_model
from passerelle.cli.server_choice import after_success
from passerelle.cli.silence import heard
from passerelle.cli.tables import Grid, renderables
from passerelle.cli.terminal import Tone, shows_colours, terminal_width, wrapped
from passerelle.errors import PasserelleError, RefusedError

#: Columns of a table that no terminal shows.
_UNLIMITED = 10_000


def plain(value: Any) -> Any:
    """Return the value as JSON types: dataclasses as objects, tags and paths as text; None for a number that JSON does not have."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def table(grid: Grid, *, width: int | None = None) -> None:
    """Print a table to stdout: fitted to this width, else to the terminal's."""
    from rich.console import Console  # noqa: PLC0415 - slow, and not for commands without a table
    from rich.text import Text  # noqa: PLC0415

    heard()
    width, colours = width or terminal_width(sys.stdout), shows_colours(sys.stdout)
    console = Console(
        file=sys.stdout, width=width or _UNLIMITED, highlight=False, markup=False, force_terminal=colours, no_color=not colours
    )
    for each in renderables(grid, width):
        if isinstance(each, str):
            click.echo(wrapped(each, width))
        else:
            with console.capture() as captured:
                console.print(each, soft_wrap=isinstance(each, Text))
            click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=colours)


def echo(text: str, tone: Tone | None = None, *, width: int | None = None, err: bool = False) -> None:
    """Print lines, wrapped to this width, else to the terminal's; the text up to its first colon in the colour of the tone."""
    heard()
    stream = sys.stderr if err else sys.stdout
    colours = shows_colours(stream)
    text = wrapped(text, width or terminal_width(stream))
    if tone is not None and colours:
        head, colon, rest = text.partition(":")
        text = click.style(head, fg=tone.value) + colon + rest
    click.echo(text, err=err, color=colours)


class Output:
    """Prints a stage's result once, in the form that was asked for.

    Args:
        width: Of the lines; by default as wide as the terminal, and without a limit where there is none.
    """

    def __init__(self, *, as_json: bool, width: int | None = None) -> None:
        self.as_json = as_json
        self._width = width

    def progress(self, line: str) -> None:
        """Print progress to stderr, so that stdout holds the result alone."""
        echo(f"  {line}", width=self._width, err=True)

    def note(self, line: str) -> None:
        """Print to stderr, as a comment of the shell, what stdout lacks."""
        click.echo(f"# {line}", err=True)

    def line(self, text: str, tone: Tone | None = None) -> None:
        """Print a line for a person; programs do not get it.

        Args:
            tone: Colours the text up to its first colon.
        """
        if not self.as_json:
            echo(text, tone, width=self._width)

    def next_commands(self, commands: str) -> None:
        """Print what to type next, as a hint holds it, about the model and the servers that the command was given."""
        self.line("  next: " + about_named_model(after_success(commands)).replace("\n", "\n    or: "))

    def verbatim(self, text: str) -> None:
        """Print lines for a person that are not wrapped: a diff, lines for a shell."""
        if not self.as_json:
            click.echo(text)

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        right: Sequence[str] = (),
        optional: Sequence[str] = (),
        tones: Mapping[str, Tone] = MappingProxyType({}),
    ) -> None:
        """Print a table for a person, which says so where it has no rows; programs do not get it.

        Args:
            right: Columns that hold figures.
            optional: Columns to leave out where the terminal is narrow, in this order.
            tones: The colour of a cell, by its text.
        """
        if not self.as_json:
            rows = rows or [("none", *[""] * (len(columns) - 1))]
            table(Grid(columns, rows, right, optional, tones), width=self._width)

    def result(self, value: Any) -> None:
        """Print the whole result for a program: one line, or indented for a person who looks at it in a terminal."""
        if self.as_json:
            click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def print_error(error: PasserelleError, *, as_json: bool) -> None:
    """Print what failed and what to type next; on stdout as JSON where that was asked for."""
    if as_json:
        click.echo(json.dumps({"error": {"code": error.code, "message": error.message, "hint": error.hint}}, ensure_ascii=False))
        return
    echo(f"passerelle: {error.message}{error.next_lines}", Tone.BAD if isinstance(error, RefusedError) else None, err=True)


def relative(path: Path) -> str:
    """Return the path as seen from the current folder, where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

"""Output of the command line: lines and tables for people, one JSON object for programs."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from passerelle.errors import PasserelleError

if TYPE_CHECKING:
    from rich.console import Console


def plain(value: Any) -> Any:
    """Return the value as JSON types: dataclasses as objects, tags and paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, and 110 columns where there is none."""
    from rich.console import Console  # noqa: PLC0415

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 110, highlight=False, soft_wrap=not stream.isatty())


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print a small table; the columns named in `right` hold figures."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # As text: a reason or a name that somebody wrote is neither rich's markup nor a control sequence for the terminal.
        grid.add_row(*(Text("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(cell))) for cell in row))
    console().print(grid)


class Output:
    """Prints a stage's result once, in the form that was asked for."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def progress(self, line: str) -> None:
        """Print progress to stderr, so that stdout holds the result alone."""
        click.echo(f"  {line}", err=True)

    def note(self, line: str) -> None:
        """Print to stderr, as a comment of the shell, what stdout lacks."""
        click.echo(f"# {line}", err=True)

    def line(self, text: str) -> None:
        """Print a line for a person; programs do not get it."""
        if not self.as_json:
            click.echo(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
        """Print a table for a person; programs do not get it."""
        if not self.as_json:
            table(columns, rows, right=right)

    def result(self, value: Any) -> None:
        """Print the whole result for a program: one line, or indented for a person who looks at it in a terminal."""
        if self.as_json:
            click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def print_error(error: PasserelleError, *, as_json: bool) -> None:
    """Print what failed and what to type next; on stdout as JSON where that was asked for."""
    if as_json:
        click.echo(json.dumps({"error": {"code": error.code, "message": error.message, "hint": error.hint}}, ensure_ascii=False))
        return
    click.echo(f"passerelle: {error.message}{error.next_lines}", err=True)


def relative(path: Path) -> str:
    """Return the path as seen from the current folder, where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

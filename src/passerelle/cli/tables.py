"""Tables for people: as wide as they need to be, or fitted to a terminal without breaking a word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from passerelle.cli.terminal import Tone, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Between two columns.
_GAP = 2
#: A cell of more lines is harder to read than a row that is written as a block.
_MOST_LINES = 6
#: So many columns stay side by side, and a word of the second is cut in the middle where it does not fit.
_NAME_AND_VALUE = 2


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        right: Columns that hold figures.
        optional: Columns to leave out where the width does not suffice, in this order.
        tones: The colour of a cell, by its text.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    right: Collection[str] = ()
    optional: Sequence[str] = ()
    tones: Mapping[str, Tone] = field(default_factory=dict)


def renderables(grid: Grid, width: int | None) -> Iterator[RenderableType]:
    """Yield what to print for a table: itself, or a block for each row where its words do not fit side by side.

    Args:
        width: Columns of the terminal; None for a table as wide as it needs to be.
    """
    if width is None:
        cells = [[printable(cell) for cell in row] for row in grid.rows]
        yield _table(grid, grid.columns, cells, _widths(grid.columns, cells))
        return
    cells = [[shortened(printable(cell)) for cell in row] for row in grid.rows]
    left_out: list[str] = []
    while True:
        places = [place for place, name in enumerate(grid.columns) if name not in left_out]
        columns, rows = [grid.columns[place] for place in places], [[row[place] for place in places] for row in cells]
        widths = fitted(columns, rows, width)
        if widths is not None:
            yield _table(grid, columns, rows, widths)
            break
        if len(left_out) == len(grid.optional):
            if len(columns) == _NAME_AND_VALUE and (room := width - _GAP - _least(columns, rows)[0]) >= width // 2:
                rows = [[first, _cut(second, room)] for first, second in rows]
                yield _table(grid, columns, rows, fitted(columns, rows, width) or [width - _GAP - room, room])
                break
            yield from _blocks(grid, columns, rows, width)
            break
        left_out.append(grid.optional[len(left_out)])
    if left_out:
        yield f"not in this width, but with --json: {', '.join(left_out)}"


def printable(cell: object) -> str:
    """Return the cell's text: a reason or a name that somebody wrote is no control sequence for the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(cell))


def fitted(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Return a width for each column, at least its longest word's; None where they do not fit or cells would have many lines."""
    from rich.cells import cell_len  # noqa: PLC0415 - slow, and not for commands without a table

    widths, least = _widths(columns, rows), _least(columns, rows)
    free = width - _GAP * (len(columns) - 1)
    if sum(least) > free:
        return None
    while sum(widths) > free:
        widest = max((place for place in range(len(widths)) if widths[place] > least[place]), key=lambda place: widths[place])
        widths[widest] -= 1
    tallest = max((cell_len(text) / room for row in rows for text, room in zip(row, widths, strict=True) if room), default=0)
    return widths if tallest <= _MOST_LINES else None


def _least(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of the longest word of each column."""
    from rich.cells import cell_len  # noqa: PLC0415 - slow, and not for commands without a table

    return [
        max(cell_len(word) for text in (name, *(row[place] for row in rows)) for word in ["", *text.split()])
        for place, name in enumerate(columns)
    ]


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len  # noqa: PLC0415 - slow, and not for commands without a table

    return [max(cell_len(text) for text in (name, *(row[place] for row in rows))) for place, name in enumerate(columns)]


def _table(grid: Grid, columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> RenderableType:
    from rich import box  # noqa: PLC0415 - slow, and not for commands without a table
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    for name, room in zip(columns, widths, strict=True):
        table.add_column(Text(name), justify="right" if name in grid.right else "left", width=max(room, 1), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=str(grid.tones.get(cell, ""))) for cell in row))
    return table


def _blocks(grid: Grid, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[RenderableType]:
    """Yield each row as a block: its first cell, and below it a line for each other cell that is not empty."""
    from rich.cells import cell_len  # noqa: PLC0415 - slow, and not for commands without a table
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    name_room = max(cell_len(name) for name in columns[1:])
    for row in rows:
        yield Text(_cut(row[0], width), style="bold")
        block = Table.grid(padding=(0, _GAP, 0, 0))
        block.add_column(width=name_room + _GAP)
        block.add_column(width=width - name_room - 2 * _GAP, overflow="fold")
        for name, cell in zip(columns[1:], row[1:], strict=True):
            if cell:
                text = _cut(cell, width - name_room - 2 * _GAP)
                block.add_row(f"  {name}", Text(text, style=str(grid.tones.get(cell, ""))))
        yield block


def _cut(text: str, width: int) -> str:
    """Return the text with each word that is longer than a line cut in the middle."""
    half = (width - 1) // 2
    return " ".join(word if len(word) <= width else f"{word[:half]}…{word[-half:]}" for word in text.split(" "))

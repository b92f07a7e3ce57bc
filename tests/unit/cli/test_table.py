"""A table shows what somebody wrote as it is."""

from __future__ import annotations

import pytest

from passerelle.cli.output import table
from passerelle.cli.tables import Grid


def test_cells_are_neither_markup_nor_control_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    table(Grid(("reason",), [("[/urgent] [red]seen[/red]",), ("été \x1b[2J",)]))
    shown = capsys.readouterr().out
    assert "[/urgent] [red]seen[/red]" in shown
    assert "\x1b" not in shown
    assert "été \ufffd[2J" in shown

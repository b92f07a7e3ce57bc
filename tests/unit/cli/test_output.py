"""The form of `--json`: one line for programs, indented for a person."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import passerelle.cli
from passerelle.cli.output import Output

RESULT = {"label": "Pb de suivi /Délai", "figures": [1, {"a": None}]}


@pytest.mark.parametrize(("terminal", "lines"), [(False, 1), (True, 9)])
def test_json_is_one_line_where_stdout_is_no_terminal(
    terminal: bool, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    Output(as_json=True).result(RESULT)
    shown = capsys.readouterr().out
    assert json.loads(shown) == RESULT
    assert shown.count("\n") == lines


def test_a_number_that_json_does_not_have_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).result({"nan": float("nan"), "more": float("inf"), "less": [float("-inf")]})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"nan": None, "more": None, "less": [None]}


def test_every_command_prints_its_json_by_the_same_function() -> None:
    """Besides it, `openapi` prints a file for people and tools, and the demo a line with a body for curl."""
    files = Path(passerelle.cli.__file__).parent.glob("*.py")
    assert {path.name for path in files if "json.dumps(" in path.read_text(encoding="utf-8")} == {
        "operations.py",
        "output.py",
        "show_steps.py",
    }


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False, width=80).table(("name", "rights"), ())
    assert capsys.readouterr().out.splitlines()[-1] == "none"

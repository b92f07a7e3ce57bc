"""The form of `--json`: one line for programs, indented for a person."""

from __future__ import annotations

import json
import sys

import pytest

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


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False, width=80).table(("name", "rights"), ())
    assert capsys.readouterr().out.splitlines()[-1] == "none"

"""At 80 columns: no line is wider, no word is broken, digests are cut in the middle, and colours only where they are wanted."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from rich.cells import cell_len

from passerelle.cli.output import Output, echo, print_error, table
from passerelle.cli.tables import Grid
from passerelle.cli.terminal import Tone, shortened, shows_colours, wrapped
from passerelle.errors import CriteriaError, UsageError
from tests.syntax_trees import nodes_of
from tests.unit.cli.recorded_results import DIGEST, PRINTED
from tests.unit.test_architecture import CLI

WIDTH = 80
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def printed(name: str, capsys: pytest.CaptureFixture[str], width: int | None) -> str:
    PRINTED[name](Output(as_json=False, width=width))
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [WIDTH, 60])
@pytest.mark.parametrize("name", PRINTED)
def test_lines_are_no_wider_than_the_terminal_and_words_are_whole(name: str, width: int, capsys: pytest.CaptureFixture[str]) -> None:
    wide, narrow = printed(name, capsys, None), printed(name, capsys, width)
    too_wide = [line for line in narrow.splitlines() if cell_len(line) > width]
    assert [line for line in too_wide if len(line.split()) > 1] == [], "only a word that is longer than the line"
    words = {word.rstrip(",") for word in f"{wide} {shortened(wide)} not in this width, but with --json:".split()}
    assert [word for word in narrow.split() if word.rstrip(",") not in words and not re.fullmatch(r"\\|─+|\S+…\S+", word)] == []


@pytest.mark.parametrize("name", PRINTED)
def test_digests_are_cut_in_the_middle_and_whole_for_programs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert DIGEST not in printed(name, capsys, WIDTH)
    PRINTED[name](Output(as_json=True, width=WIDTH))
    whole = capsys.readouterr().out
    assert DIGEST in whole or "sha256" not in printed(name, capsys, None)


def test_each_function_that_prints_a_table_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = [node for path in CLI for node in nodes_of(path) if isinstance(node, ast.FunctionDef)]
    expected = {node.name for node in functions if "output.table(" in ast.unparse(node)}
    rendered: set[str] = set()

    def spy(*_: Any, **__: Any) -> None:
        rendered.add(inspect.stack()[1].function)

    monkeypatch.setattr(Output, "table", spy)
    for show in PRINTED.values():
        show(Output(as_json=False, width=WIDTH))
    assert rendered == expected


def rendered(grid: Grid, width: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    table(grid, width=width)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_narrow_table_first_wraps_then_drops_and_then_stacks(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid(("candidate", "log loss", "calibration"), [("word_lr", "0.5", "0.1")], ("log loss", "calibration"), ("calibration",))
    assert rendered(grid, 40, capsys)[0] == "candidate  log loss  calibration"
    assert rendered(grid, 28, capsys)[:2] == ["            log", "candidate  loss  calibration"]
    assert rendered(grid, 20, capsys) == [
        "candidate  log loss", "───────────────────", "word_lr         0.5", "not in this width,", "  but with --json:", "  calibration",
    ]  # fmt: skip
    wider = Grid(("candidate", "log loss", "run"), [("word_lr", "0.5", "a" * 20)])
    assert rendered(wider, 30, capsys) == ["word_lr", "  log loss  0.5", f"  run       {'a' * 8}…{'a' * 8}"]


def test_a_word_wider_than_the_terminal_is_cut_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    lines = rendered(Grid(("class", "records"), [("x" * 50 + "y" * 50, 3)]), 30, capsys)
    assert lines == ["xxxxxxxxxxxxxx…yyyyyyyyyyyyyy", "  records  3"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short", "short"),
        ("one two three four", "one two\n  three\n  four"),
        ("  next: train --data a", "  next: train \\\n        --data a"),
        ("  next: 'a b c d e f g'", "  next: 'a b c d e f g'"),
        ("a  the second column", "a  the\n   second\n   column"),
        ("averylongword", "averylongword"),
    ],
)
def test_a_line_is_wrapped_between_words(line: str, expected: str) -> None:
    assert wrapped(line, 10 if "next" not in line else 18) == expected
    assert wrapped(line, None) == line


def test_a_command_goes_on_after_a_backslash(capsys: pytest.CaptureFixture[str]) -> None:
    echo("  next: passerelle train --data comments.csv --text-column text --label-column label --drop-missing", width=60)
    shown = capsys.readouterr().out
    assert shown.replace(" \\\n        ", " ").rstrip() == (
        "  next: passerelle train --data comments.csv --text-column text --label-column label --drop-missing"
    )
    assert shown.count("\\\n") == 1


@pytest.mark.parametrize(
    ("terminal", "environment", "colours"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": ""}, True),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    terminal: bool, environment: dict[str, str], colours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert shows_colours(sys.stdout) is colours
    echo("passed: all of it", Tone.GOOD)
    table(Grid(("metric", ""), [("f1", "differs")], tones={"differs": Tone.BAD}))
    shown = capsys.readouterr().out
    assert ("\x1b[32mpassed\x1b[0m: all of it" in shown) is colours
    assert ("\x1b[31mdiffers" in shown) is colours
    assert ("\x1b[3" in shown) is colours
    assert "passed: all of it" in ESCAPE.sub("", shown)


def test_a_refusal_is_red_and_a_mistake_is_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    errors: Sequence[Any] = (CriteriaError("it is worse"), UsageError("no such file"))
    for error in errors:
        print_error(error, as_json=False)
    assert capsys.readouterr().err == "\x1b[31mpasserelle\x1b[0m: it is worse\npasserelle: no such file\n"


def test_a_command_on_a_line_of_its_own_can_be_copied() -> None:
    request = """         curl -H 'Content-Type: application/json' -d '{"text": "Aucune réponse depuis trois mois"}' http://127.0.0.1:415/classify"""
    assert wrapped(request, WIDTH) == request
    long = "  passerelle promote --model classification --version 12 --accept too-few-rows --reason REASON"
    assert wrapped(long, WIDTH).replace("\\\n", "").split() == long.split()
    assert "\\\n" not in wrapped(
        "  of the model of the team passerelle knows nothing, which is why this line is wrapped as prose is", WIDTH
    )


def test_a_quoted_word_stays_beside_its_marks() -> None:
    text = "training/data/comments.csv has no column « texte »; it has « id », « text », « label », « difficulty »"
    for width in range(20, 90):
        assert not [line for line in wrapped(text, width).splitlines() if line.endswith("«") or line.strip().startswith("»")]
    assert wrapped(text, WIDTH).replace("\n  ", " ") == text

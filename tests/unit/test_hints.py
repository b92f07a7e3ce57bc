"""Hints are commands that exist and lead on: none registers the same run again, finds the same training, or switches a check off."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.syntax_trees import nodes_of
from tests.unit.hint_commands import problem_of
from tests.unit.hint_texts import all_hints

SOURCE = Path(__file__).resolve().parents[2] / "src"


@cache
def texts() -> list[str]:
    """Return every string of the package, with {} for what is filled in."""
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in nodes_of(path):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_no_hint_switches_a_check_off() -> None:
    assert not [text for text in texts() if re.search(r"PASSERELLE_VERIFY=off|--verify[ =]off", text)]


def test_no_hint_trains_what_is_there_and_registers_it_again() -> None:
    assert not [text for text in texts() if re.search(r"passerelle train(?! --again)[^a-z]*; passerelle register", text)]


def test_a_failed_check_of_integrity_leads_to_no_register_but_that_of_an_unsigned_run() -> None:
    hints = []
    for path in SOURCE.rglob("*.py"):
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "IntegrityError":
                hints += [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "hint"]
    assert len(hints) > 20
    assert not [hint for hint in hints if "passerelle register" in hint]


def test_every_hint_is_commands_that_exist() -> None:
    hints = all_hints()
    assert len(hints) > 250, "the search finds the hints"
    assert [(hint.place, hint.text, problem) for hint in hints if (problem := problem_of(hint.text))] == []


def test_no_hint_names_the_command_that_it_is_given_by_alone() -> None:
    """A command that failed fails again, unless an option or something before it is different."""
    commands = {"stages/history.py": "passerelle history", "stages/status.py": "passerelle status", "stages/trace.py": "passerelle trace"}
    assert [hint for hint in all_hints() if commands.get(hint.place.partition(":")[0].removeprefix("passerelle/")) == hint.text] == []


def test_every_path_in_a_hint_is_one_word_for_the_shell() -> None:
    """A folder of a person's may be called « données ville »."""
    unquoted = []
    for path in SOURCE.rglob("*.py"):
        values = [node.value for node in nodes_of(path) if isinstance(node, ast.keyword) and node.arg == "hint"]
        values += [node.value for node in nodes_of(path) if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "hint"]
        filled = [ast.unparse(node.value) for value in values for node in ast.walk(value) if isinstance(node, ast.FormattedValue)]
        unquoted += [(path.name, each) for each in filled if re.fullmatch(r"(\w+\.)*(\w*path|folder|database|address)(\.parent)?", each)]
    assert unquoted == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("passerelle promote --best; passerelle deploy --target compose", None),
        ('eval "$(passerelle env --target compose)"; passerelle train', None),
        ("passerelle rollback\npasserelle train --again", None),
        ("PASSERELLE_WORKERS=1 passerelle deploy", None),
        ("passerelle keys make NAME", None),
        ("cat VALUE | kubectl get --filename -", None),
        ("passerelle promote --bets", "passerelle promote: No such option '--bets'. (Did you mean one of: '--best', '--label'?)"),
        ("passerelle deploy --target moon", "target cannot be moon"),
        ("passerelle fly", "passerelle has no command fly"),
        ("passerelle status; then the same command again", "then is no program that a hint may name"),
        ("passerelle up, in another terminal", "up, is no part of a command"),
        ('eval "$(passerelle envy)"', "passerelle has no command envy"),
        ("make lock, and look", "lock, is no part of a command"),
        ("passerelle train --data …", "… stands for something"),
        ("correct the file", "correct is no program that a hint may name"),
    ],
)
def test_a_hint_of_prose_is_found(text: str, problem: str | None) -> None:
    assert problem_of(text) == problem

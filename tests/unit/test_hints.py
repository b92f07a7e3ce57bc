"""Hints lead on: none registers the same run again, none finds the training that is there, and none switches a check off."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.syntax_trees import tree_of

SOURCE = Path(__file__).resolve().parents[2] / "src"


@cache
def texts() -> list[str]:
    """Return every string of the package, with {} for what is filled in."""
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(tree_of(path)):
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
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "IntegrityError":
                hints += [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "hint"]
    assert len(hints) > 20
    assert not [hint for hint in hints if "passerelle register" in hint]

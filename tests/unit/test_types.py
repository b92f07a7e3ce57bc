"""How often the source says `Any`: each one is a value that mypy does not check."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.syntax_trees import nodes_of

SOURCE = Path(__file__).resolve().parents[2] / "src" / "passerelle"
MOST_PER_THOUSAND_LINES = 10
#: Those that speak to libraries and tools with types of their own.
TYPED = ("gate", "registry", "bentos", "training", "platform", "monitoring", "rollout")


@cache
def any_and_lines() -> tuple[Counter[str], Counter[str]]:
    """Return for each room how often it says `Any`, imports aside, and its lines."""
    said, lines = Counter[str](), Counter[str]()
    for path in SOURCE.rglob("*.py"):
        room, text = path.relative_to(SOURCE).parts[0], path.read_text()
        said[room] += sum(isinstance(node, ast.Name) and node.id == "Any" for node in nodes_of(path))
        lines[room] += len(text.splitlines())
    return said, lines


@pytest.mark.parametrize("room", TYPED)
def test_a_room_hardly_says_any(room: str) -> None:
    said, lines = any_and_lines()
    assert 1_000 * said[room] / lines[room] <= MOST_PER_THOUSAND_LINES / 4


def test_the_source_says_any_rarely() -> None:
    said, lines = any_and_lines()
    rate = 1_000 * said.total() / lines.total()
    assert rate <= MOST_PER_THOUSAND_LINES, f"{rate:.1f} per 1,000 lines, most of them in {said.most_common(5)}"

"""The page of faults is what its rows say, and each row names a test that is there."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest

from tests.bad_day import PAGE, ROOT, SECTIONS, Row, page
from tests.syntax_trees import nodes_of

ROWS = [row for rows in SECTIONS.values() for row in rows]


def test_the_page_is_what_the_rows_say(record_property: Callable[[str, object], None]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run .venv/bin/python -m tests.bad_day"
    for row in ROWS:
        record_property("figure", f"{row.fault}: {row.happens}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault[:40])
def test_each_row_names_a_test(row: Row) -> None:
    file, _, name = row.test.partition("::")
    assert name in {node.name for node in nodes_of(ROOT / "tests" / file) if isinstance(node, ast.FunctionDef)}
    assert row.fault
    assert row.happens


def test_no_fault_is_there_twice() -> None:
    assert len({row.fault for row in ROWS}) == len(ROWS)

"""The table of ways to log in the docs is that of the ways that are tested."""

from __future__ import annotations

from pathlib import Path

from tests.logged_places import PLACES
from tests.ways_to_log import WAYS, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adopt.md"


def test_the_page_shows_each_way_that_is_tested() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(table()), "python -m tests.ways_to_log prints it"


def test_there_are_sixty_ways_in_all_places() -> None:
    rows = [row for ways in WAYS.values() for row in ways.values()]
    assert len(rows) >= 60
    assert {row.place for row in rows} == set(PLACES)

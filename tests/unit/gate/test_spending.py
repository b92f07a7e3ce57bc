"""The level of all looks together, and what is said of a look."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from passerelle.criteria import Champion
from passerelle.gate.look import row_set
from passerelle.gate.spending import is_worn, level_of_look
from passerelle.gate.worth import worth
from passerelle.registry.looks import LookTaken
from tests.unit.gate.test_gate_paired import DIFFERENCE


def test_the_levels_of_all_looks_stay_within_the_whole() -> None:
    levels = [level_of_look(number, 0.05) for number in range(1, 5_000)]
    assert sum(levels) == pytest.approx(0.95 * 0.05, rel=1e-4)
    assert levels[:3] == [pytest.approx(0.0425), pytest.approx(0.0025), pytest.approx(0.005 / 6)]
    assert levels == sorted(levels, reverse=True)
    assert [is_worn(level, 0.05) for level in levels[:5]] == [False, False, False, True, True]


def test_a_verdict_says_which_look_it_is_and_what_it_is_worth() -> None:
    first = worth(replace(DIFFERENCE, level=0.045), LookTaken(1), Champion(), "en")
    assert first[0] == "This is the first look at these rows next to the version in production."
    assert "On 500 rows (480 without near-duplicates), a model passes at most with a chance of 4.5%" in first[1]
    assert "0.02 worse" in first[1]
    seventh = " ".join(worth(DIFFERENCE, LookTaken(7, counted=False, lost=2), Champion(superior=True), "en"))
    for words in ("This is look 7 at these rows", "--refresh-held-out", "could not be counted", "forged: 2;", "no better"):
        assert words in seventh
    french = " ".join(worth(replace(DIFFERENCE, level=0.045), LookTaken(7), Champion(), "fr"))
    assert "C'est l'examen n° 7 de ces lignes" in french
    assert "4,5\N{NO-BREAK SPACE}%" in french
    assert "moins bon de 0,02" in french
    assert worth(None, LookTaken(1), Champion(), "en") == ()
    assert worth(None, LookTaken(3), Champion(), "en") == ("This is look 3 at these rows, or at most of them.",)


def test_rows_are_recognised_in_any_order_and_by_their_labels() -> None:
    records = pd.DataFrame({"text": [f"rue {number}" for number in range(300)]})
    labels = ["voirie", "délai", "autre"] * 100
    there = row_set(records, labels)
    again = row_set(records[::-1], labels[::-1])
    assert there == again
    assert (there.rows, len(there.sketch)) == (300, 128)
    other = row_set(records, labels[1:] + labels[:1])
    assert other.digest != there.digest
    assert other.overlaps(there)

"""The gate lets pass what it should and no more: a small version of `make gate-power`, which fails where the rules are weakened."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests import gate_power
from loadtests.gate_power import EVEN, attainable, passes
from loadtests.outcomes import Population, cases_of, macro_f1_differences, rough_errors, rows_of
from passerelle.criteria import Champion
from passerelle.gate.paired import paired_difference

DEFAULT = Champion(resamples=200)
WORSE, EQUAL, BETTER = (Population(EVEN, 0.14, difference) for difference in (-0.02, 0.0, 0.03))


def test_the_models_differ_by_what_is_said() -> None:
    for of in (WORSE, BETTER):
        first, later = cases_of(of)
        again = first.sum(axis=2)[:, :, None] * later
        assert macro_f1_differences(np.stack([first, again])) == pytest.approx([of.difference] * 2, abs=1e-6)
        assert first.sum() == pytest.approx(1)


def test_a_draw_counts_the_rows_that_the_gate_gets() -> None:
    single, paired = next(WORSE.looks(500, 1, 40, np.random.default_rng(0)))
    truth, old, new, groups = rows_of(single[7], paired[7])
    difference = paired_difference(truth, old, new, groups, Champion(resamples=2_000), level=0.05)
    assert (difference.rows, difference.groups) == (500, len(set(groups)))
    assert difference.value == pytest.approx(macro_f1_differences(single + 2 * paired)[7], abs=1e-12)
    assert difference.error == pytest.approx(rough_errors(single, paired)[7], rel=0.1)


def test_what_is_plain_is_what_the_gate_says(monkeypatch: pytest.MonkeyPatch) -> None:
    found = passes(WORSE, 131, 3, DEFAULT, draws=40, seed=2)
    monkeypatch.setattr(gate_power, "_plainly_passed", lambda single, *_: np.full(len(single), np.nan))
    assert passes(WORSE, 131, 3, DEFAULT, draws=40, seed=2).tolist() == found.tolist()


def test_one_that_is_worse_by_the_margin_hardly_passes() -> None:
    found = passes(WORSE, 131, 1, DEFAULT, draws=1_500)[0]
    assert found <= 0.06
    by_value = passes(WORSE, 131, 1, DEFAULT, draws=60, decides=lambda difference, rule: difference.value >= -rule.margin)[0]
    assert by_value >= 0.3, "a rule without an interval shows here"


def test_nor_does_one_of_twenty_that_are_tried_on_the_same_rows() -> None:
    found = passes(WORSE, 500, 20, DEFAULT, draws=500, seed=1)
    assert found[-1] <= 0.07
    without = passes(WORSE, 131, 20, DEFAULT, draws=40, seed=1, spend=False)
    assert without[-1] >= 0.2, "looks that are not counted show here"


def test_one_that_deserves_it_passes() -> None:
    assert passes(BETTER, 500, 1, DEFAULT, draws=60)[0] >= 0.8
    rule = Champion(margin=0.03, resamples=200)
    found = passes(EQUAL, 1_000, 1, rule, draws=400)[0]
    assert found >= 0.74
    assert found == pytest.approx(attainable(EQUAL, 1_000, rule, draws=400), abs=0.06), "no test of this level does much better"

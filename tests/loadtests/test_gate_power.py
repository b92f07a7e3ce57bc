"""The gate lets pass what it should and no more: a small version of `make gate-power`, which fails where the rules are weakened."""

from __future__ import annotations

import pytest

from loadtests.gate_power import EVEN, Population, passes, shift_of
from passerelle.criteria import Champion

DEFAULT = Champion(resamples=200)
WORSE, EQUAL, BETTER = (Population(EVEN, 0.14, difference) for difference in (-0.02, 0.0, 0.03))


def test_the_models_differ_by_what_is_said() -> None:
    for of in (WORSE, BETTER):
        assert of.true_difference(shift_of(of)) == pytest.approx(of.difference, abs=5e-4)


def test_one_that_is_worse_by_the_margin_hardly_passes() -> None:
    found = passes(WORSE, 131, 1, DEFAULT, draws=200)[0]
    assert found <= 0.09
    by_value = passes(WORSE, 131, 1, DEFAULT, draws=60, decides=lambda difference, rule: difference.value >= -rule.margin)[0]
    assert by_value >= 0.3, "a rule without an interval shows here"


def test_nor_does_one_of_twenty_that_are_tried_on_the_same_rows() -> None:
    found = passes(WORSE, 131, 20, DEFAULT, draws=40, seed=1)
    assert found[-1] <= 0.1
    without = passes(WORSE, 131, 20, DEFAULT, draws=40, seed=1, spend=False)
    assert without[-1] >= 0.2, "looks that are not counted show here"


def test_one_that_deserves_it_passes() -> None:
    assert passes(BETTER, 500, 1, DEFAULT, draws=60)[0] >= 0.8
    assert passes(EQUAL, 1_000, 1, Champion(margin=0.03, resamples=200), draws=60)[0] >= 0.7

"""The challenger next to the champion: the margin, the interval and the test, to their edges."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from passerelle.gate import checks
from passerelle.gate.paired import Difference, paired_difference
from passerelle.model.record import Column
from tests.unit.gate.findings import only, rules, told
from tests.unit.gate.verdicts import CLASSES, contender, evidence, scores

TRUTH = [0] * 6 + [1] * 5 + [2] * 4
RIGHT = contender(2, scores(TRUTH, TRUTH))
DIFFERENCE = Difference("macro_f1", 0.1, 0.05, 0.15, 0.012345, 3, 1)


def against(difference: Difference | None, **rule: Any) -> list[tuple[bool, str, str, str]]:
    of = evidence(RIGHT, contender(4, RIGHT.scores))
    return [told(each) for each in checks.against_champion(of, rules(champion=rule), difference)]


def test_a_challenger_must_be_better_or_not_worse_beyond_the_margin() -> None:
    strict, lenient = {"must_be_better": True}, {"must_be_better": False, "not_worse_by": 0.02}
    assert against(DIFFERENCE, **strict) == [(True, "+0.100", "> 0", "")]
    equal = replace(DIFFERENCE, value=0.0, low=-0.05)
    words = "version 4, which is in production: macro_f1 differs by {} [{}, +0.150], McNemar p 0.012"
    assert against(equal, **strict) == [(False, "+0.000", "> 0", "not better than " + words.format("+0.000", "-0.050"))]
    assert against(equal, **lenient) == [(True, "+0.000", "≥ -0.02", "")]
    assert against(replace(equal, value=-0.02), **lenient)[0][0] is True
    worse = replace(equal, value=-0.021)
    assert against(worse, **lenient) == [(False, "-0.021", "≥ -0.02", "worse than " + words.format("-0.021", "-0.050"))]
    assert against(equal, **lenient, margin_on="interval")[0][0] is False
    assert against(replace(equal, low=-0.02), **lenient, margin_on="interval")[0][0] is True


def test_without_a_difference_only_a_champion_that_could_not_be_scored_is_told() -> None:
    nobody = evidence(RIGHT)
    assert list(checks.against_champion(nobody, rules(), None)) == []
    unscored = evidence(RIGHT, champion_columns=(Column("comment", "string"),), champion_version=4)
    found = only(checks.against_champion(unscored, rules(), None))
    assert told(found)[:3] == (False, "—", "> 0")
    assert found.message.startswith("version 4, which is in production, takes other columns")


def codes(*given: int) -> Any:
    return np.array(CLASSES)[list(given)]


def difference(truth: Any, old: Any, new: Any, **changed: Any) -> Difference:
    options: dict[str, Any] = {"metric": "accuracy", "confidence": 0.9, "resamples": 400, "seed": 1}
    return paired_difference(truth, old, new, **(options | changed))


def test_the_interval_is_the_percentile_interval_of_paired_resamples() -> None:
    truth, old, new = codes(*[0] * 20), codes(*[0] * 12, *[1] * 8), codes(*[0] * 16, *[1] * 4)
    random, drawn = np.random.default_rng(1), []
    for _ in range(400):
        rows = random.integers(0, 20, 20)
        drawn.append(np.mean(new[rows] == truth[rows]) - np.mean(old[rows] == truth[rows]))
    found = difference(truth, old, new)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.05, 0.95])))
    wide = difference(truth, old, new, confidence=0.99)
    assert (wide.low, wide.high) == pytest.approx(tuple(np.quantile(drawn, [0.005, 0.995])))
    assert (found.metric, found.only_challenger, found.only_champion) == ("accuracy", 4, 0)


@pytest.mark.parametrize(("only_new", "only_old", "exact"), [(20, 4, True), (20, 5, False), (4, 20, True)])
def test_mcnemars_test_is_exact_under_twenty_five_rows(only_new: int, only_old: int, exact: bool) -> None:
    truth = codes(*[0] * 40)
    old = codes(*[1] * only_new, *[0] * (40 - only_new))
    new = codes(*[0] * only_new, *[1] * only_old, *[0] * (40 - only_new - only_old))
    found = difference(truth, old, new, resamples=100)
    assert (found.only_challenger, found.only_champion) == (only_new, only_old)
    expected = binomtest(only_new, only_new + only_old, 0.5).pvalue
    if exact:
        assert found.p_value == pytest.approx(expected)
    else:
        statistic = (abs(only_new - only_old) - 1) ** 2 / (only_new + only_old)
        assert found.p_value == pytest.approx(math.erfc(math.sqrt(statistic / 2)))


def test_macro_f1_is_over_the_classes_that_some_row_has() -> None:
    truth, old = codes(0, 0, 0, 1), codes(0, 0, 0, 0)
    # Old: 6/7 and 0. New: 4/5 and 2/3, and the class that is only given does not count.
    found = difference(truth, old, codes(0, 0, 1, 1), metric="macro_f1", resamples=100)
    assert found.value == pytest.approx((4 / 5 + 2 / 3) / 2 - 6 / 7 / 2)
    found = difference(truth, old, codes(0, 0, 2, 1), metric="macro_f1", resamples=100)
    assert found.value == pytest.approx((4 / 5 + 1) / 2 - 6 / 7 / 2)

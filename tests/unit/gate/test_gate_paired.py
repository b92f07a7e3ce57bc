"""The challenger next to the champion: the margin, the interval and the test, to their edges."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student

from passerelle.criteria import Champion
from passerelle.gate import checks
from passerelle.gate.paired import Difference, paired_difference
from passerelle.model.record import Column
from tests.unit.gate.findings import only, rules, told
from tests.unit.gate.verdicts import CLASSES, contender, evidence, scores

TRUTH = [0] * 6 + [1] * 5 + [2] * 4
RIGHT = contender(2, scores(TRUTH, TRUTH))
#: Its ends are two standard errors away from the value.
LEVEL = float(student.sf(2.0, 60))
DIFFERENCE = Difference("macro_f1", 0.1, 0.025, 480, 58, LEVEL, 500, 3, 1, None)


def against(difference: Difference | None, **rule: Any) -> list[tuple[bool, str, str, str]]:
    of = evidence(RIGHT, contender(4, RIGHT.scores))
    return [told(each) for each in checks.against_champion(of, rules(champion=rule), difference)]


def test_the_lower_end_of_the_interval_decides() -> None:
    assert [DIFFERENCE.low, DIFFERENCE.high] == pytest.approx([0.05, 0.15])
    assert against(DIFFERENCE) == [(True, "+0.100 [+0.050, +0.150]", "≥ -0.02", "")]
    assert against(DIFFERENCE, superior=True) == [(True, "+0.100 [+0.050, +0.150]", "> 0", "")]
    equal = replace(DIFFERENCE, value=0.0)
    assert against(equal, margin=0.051)[0][0] is True
    assert against(equal, margin=0.049)[0][0] is False
    assert against(replace(equal, error=2.0), margin=1)[0][0] is True, "by such a margin nothing is compared"
    assert against(replace(DIFFERENCE, value=0.051), superior=True)[0][0] is True
    assert against(replace(DIFFERENCE, value=0.049), superior=True)[0][0] is False


def test_one_that_is_worse_on_these_rows_fails_and_one_that_may_be_worse_is_unknown() -> None:
    worse = only(checks.against_champion(evidence(RIGHT, contender(4, RIGHT.scores)), rules(), replace(DIFFERENCE, value=-0.021)))
    words = "worse than version 4, which is in production: macro_f1 differs by -0.021 [-0.071, +0.029], and ≥ -0.02 is asked for"
    assert (worse.result, worse.message) == ("failed", words)
    equal = replace(DIFFERENCE, value=0.0)
    for too_few, result in (("reason", "unknown"), ("refuse", "failed"), ("accept", "passed")):
        of = evidence(RIGHT, contender(4, RIGHT.scores))
        found = only(checks.against_champion(of, rules(champion={"too_few": too_few}), equal))
        assert found.result == result, too_few
    not_better = against(replace(equal, value=0.0), superior=True)[0]
    assert not_better[3].startswith("not better than version 4")
    better = against(replace(equal, value=0.01), superior=True)[0]
    assert better[3].startswith("too few rows to tell next to version 4")


def test_what_more_rows_would_tell_is_said() -> None:
    reach = float(student.isf(0.2, 60))
    equal, rule = replace(DIFFERENCE, value=0.0), Champion(margin=0.02)
    rows = 500 * ((2 + reach) * 0.025 / 0.02) ** 2
    assert equal.rows_to_tell(rule) == math.ceil(rows / 100) * 100 == 6_400
    assert equal.seen(rule) == pytest.approx((2 + reach) * 0.025 - 0.02)
    assert equal.seen(Champion(superior=True)) == pytest.approx((2 + reach) * 0.025)
    message = against(equal)[0][3]
    assert "on 500 rows, a model passes 4 times in 5 if the true difference is +0.051; about 6,400 rows would tell" in message
    assert equal.rows_to_tell(Champion(margin=0)) is None, "no number of rows shows that two equal models are equal"
    assert "rows would tell" not in against(equal, margin=0)[0][3]
    assert replace(equal, value=0.01).rows_to_tell(Champion(margin=0)) == 26_000


def test_without_a_difference_only_a_champion_that_could_not_be_scored_is_told() -> None:
    nobody = evidence(RIGHT)
    assert list(checks.against_champion(nobody, rules(), None)) == []
    unscored = evidence(RIGHT, champion_columns=(Column("comment", "string"),), champion_version=4)
    found = only(checks.against_champion(unscored, rules(), None))
    assert told(found)[:3] == (False, "—", "≥ -0.02")
    assert found.message.startswith("version 4, which is in production, takes other columns")


def codes(*given: int) -> Any:
    return np.array(CLASSES)[list(given)]


def difference(truth: Any, old: Any, new: Any, groups: Any = None, **changed: Any) -> Difference:
    rule = Champion.model_validate({"metric": "accuracy", "resamples": 4_000, "seed": 1} | changed)
    return paired_difference(truth, old, new, np.arange(len(truth)) if groups is None else groups, rule, level=0.05)


def test_the_error_is_that_of_paired_resamples_widened_by_two_disputes() -> None:
    truth, old, new = codes(*[0] * 20), codes(*[0] * 12, *[1] * 8), codes(*[0] * 16, *[1] * 4)
    found = difference(truth, old, new)
    assert found.value == pytest.approx(0.2)
    # Four rows of twenty are in dispute, each of which adds a twentieth.
    assert found.error == pytest.approx(math.sqrt(0.2 * 0.8 / 20 + 2 / 20**2), rel=0.03)
    assert (found.metric, found.only_challenger, found.only_champion) == ("accuracy", 4, 0)
    assert (found.rows, found.groups, found.disputed) == (20, 20, 4)
    assert found.low == pytest.approx(0.2 - float(student.isf(0.05, 6)) * found.error)
    same = difference(truth, old, old)
    assert (same.value, same.disputed) == (0.0, 0)
    assert same.error == pytest.approx(math.sqrt(2) / 20)
    assert same.low < -0.02, "twenty rows on which two models do not differ prove little"


def test_a_group_of_near_duplicates_is_drawn_whole() -> None:
    truth, old, new = codes(*[0] * 40), codes(*[0] * 40), codes(*[1] * 10, *[0] * 30)
    single = difference(truth, old, new)
    of_ten = difference(truth, old, new, np.repeat([3, 9, 1, 7], 10))
    assert (single.value, of_ten.value) == (-0.25, -0.25)
    assert (of_ten.groups, of_ten.disputed) == (4, 1)
    without_two = math.sqrt(of_ten.error**2 - 2 / 4**2)
    assert without_two == pytest.approx(math.sqrt(0.25 * 0.75 / 4), rel=0.03), "as four rows, not as forty"
    assert single.error < of_ten.error / 2
    mixed = difference(truth, old, new, np.r_[np.arange(30), np.full(10, 99)])
    assert (mixed.value, mixed.groups, mixed.disputed) == (-0.25, 31, 10)


def test_many_rows_take_little_time_and_memory() -> None:
    random, names = np.random.default_rng(2), np.array([f"thème {place}" for place in range(150)])
    truth = random.integers(0, 150, 50_000)
    old, new = (np.where(random.random(50_000) < 0.2, random.integers(0, 150, 50_000), truth) for _ in range(2))
    found = difference(names[truth], names[old], names[new], metric="macro_f1", resamples=2_000)
    assert found.groups == 50_000
    assert found.error == pytest.approx(math.sqrt(0.32 / 50_000), rel=0.2)


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
    assert difference(truth, old, new, metric="macro_f1", resamples=100).p_value is None


def test_macro_f1_is_over_the_classes_that_some_row_has() -> None:
    truth, old = codes(0, 0, 0, 1), codes(0, 0, 0, 0)
    # Old: 6/7 and 0. New: 4/5 and 2/3, and the class that is only given does not count.
    found = difference(truth, old, codes(0, 0, 1, 1), metric="macro_f1", resamples=100)
    assert found.value == pytest.approx((4 / 5 + 2 / 3) / 2 - 6 / 7 / 2)
    found = difference(truth, old, codes(0, 0, 2, 1), metric="macro_f1", resamples=100)
    assert found.value == pytest.approx((4 / 5 + 1) / 2 - 6 / 7 / 2)

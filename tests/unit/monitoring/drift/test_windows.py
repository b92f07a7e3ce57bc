"""Windows next to their references: lengths, p-values that are those of chance, and Holm's adjustment."""

from __future__ import annotations

import numpy as np
import pytest

from passerelle.criteria import Drift
from passerelle.monitoring.drift.rules import LABELS, judged_month
from passerelle.monitoring.drift.windows import (
    Floats,
    Rows,
    Series,
    against_month,
    against_rows,
    holm,
    rolling,
    shifted,
    spread_between_days,
)


def shares(count: Floats, total: Floats) -> Series:
    return Series(count, total, total)


def drawn(rng: np.random.Generator, share: Floats, volume: int) -> Series:
    count = np.full(share.shape, float(volume))
    return shares(count, rng.binomial(volume, share).astype(np.float64))


def test_sums_slide_and_count_what_lies_before_the_first_day_as_zero() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert rolling(values, 2).tolist() == [1.0, 3.0, 5.0, 7.0]
    assert shifted(values, 3).tolist() == [0.0, 0.0, 0.0, 1.0]
    assert shifted(values, 9).tolist() == [0.0] * 4


@pytest.mark.parametrize(("volume", "length"), [(500, 7), (72, 7), (71, 14), (36, 14), (35, 28), (18, 28), (17, 0)])
def test_a_window_is_the_shortest_of_whole_weeks_that_has_enough_answers(volume: int, length: int) -> None:
    compared = against_month(drawn(np.random.default_rng(0), np.full((1, 60), 0.3), volume), least=500)
    assert compared.days[0, -1] == length
    assert np.isnan(compared.p_value[0, -1]) == (length == 0)


def test_p_values_of_independent_days_are_those_of_chance() -> None:
    series = drawn(np.random.default_rng(1), np.full((4_000, 40), 0.1), 150)
    p_values = against_month(series, least=500).p_value[:, -1]
    # The spread is never taken for less than one, so that p-values are rather too large.
    for level in (0.5, 0.1, 0.02):
        assert 0.4 * level <= np.mean(p_values < level) <= 1.2 * level


def test_days_that_differ_more_than_chance_widen_what_is_usual() -> None:
    rng = np.random.default_rng(2)
    share = np.clip(rng.normal(0.1, 0.03, (2_000, 40)), 0.01, 0.5)
    series = drawn(rng, share, 500)
    assert np.median(spread_between_days(series)[0][:, -1]) > 4
    # Of three estimates of the spread the least counts, so that p-values are somewhat too small; without the spread it would be 0.3.
    assert np.mean(against_month(series, least=500).p_value[:, -1] < 0.02) <= 0.05


def test_weekdays_that_differ_are_no_spread() -> None:
    rng = np.random.default_rng(3)
    weekday = np.where(np.arange(40) % 7 >= 5, 0.4, 0.1)
    spread, freedom = spread_between_days(drawn(rng, np.tile(weekday, (500, 1)), 300))
    assert np.median(spread[:, -1]) < 1.3
    assert freedom[0, -1] == 21


def test_no_month_before_is_not_compared_with() -> None:
    series = drawn(np.random.default_rng(4), np.full((1, 19), 0.3), 300)
    assert np.isnan(against_month(series, least=500).p_value[0, -1])


def test_held_out_rows_are_as_uncertain_as_they_are_few() -> None:
    series = drawn(np.random.default_rng(5), np.full((1, 40), 0.3), 1_000)
    many, few = (
        against_rows(series, 500, Rows(np.array([rows]), np.array([0.2]), np.array([0.16]))).p_value[0, -1] for rows in (5_000.0, 40.0)
    )
    assert many < 1e-6
    assert few > 0.1


def test_a_window_without_history_is_compared_with_held_out_rows() -> None:
    series = drawn(np.random.default_rng(6), np.full((1, 7), 0.3), 200)
    compared = against_rows(series, 500, Rows(np.array([500.0]), np.array([0.1]), np.array([0.09])))
    assert compared.p_value[0, -1] < 0.001


def test_holm_adjusts_for_all_and_keeps_the_order() -> None:
    adjusted = holm(np.array([0.01, 0.04, 0.03, np.nan]))
    assert adjusted[:3].tolist() == pytest.approx([0.04, 0.09, 0.09])
    assert np.isnan(adjusted[3])


def test_a_label_that_is_gone_counts_although_it_was_rare() -> None:
    gone = np.where(np.arange(40) >= 31, 0.0, 1.0)
    counts = np.stack([20 * gone, np.full(40, 980.0)])
    judged = judged_month(LABELS, shares(np.tile(counts.sum(axis=0), (2, 1)), counts), Drift())
    assert judged.alarm[:, -1].tolist() == [True, False]


def test_a_difference_counts_for_as_many_days_as_the_criteria_say() -> None:
    moved = np.where(np.arange(41) >= 34, 0.4, 0.1)
    series = drawn(np.random.default_rng(7), moved[None, :], 300)
    begins = [int(judged_month("review", series, Drift(days_in_row=days)).alarm[0].argmax()) for days in (1, 2, 4)]
    assert [begin - begins[0] for begin in begins] == [0, 1, 3]


def test_an_alarm_lasts_for_two_weeks_although_the_month_before_soon_holds_the_change_too() -> None:
    changed = np.where(np.arange(120) >= 80, 0.2, 0.1)
    alarm = judged_month("review", drawn(np.random.default_rng(8), changed[None, :], 300), Drift()).alarm[0]
    assert not alarm[:82].any()
    assert alarm[88:102].all()
    assert not alarm[-3:].any(), "by then it is what is usual"

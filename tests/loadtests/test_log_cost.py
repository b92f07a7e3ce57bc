"""What the load test of the prediction log makes of its rounds."""

from __future__ import annotations

import pytest

from loadtests.prediction_log import LogRound, cost_of


def test_neighbouring_rounds_are_compared_and_the_median_counts() -> None:
    # The machine slows down during the rounds: only neighbours show that the log takes a tenth, and once a half.
    without = [LogRound(1_000 / slower, 1.0, 2.0 * slower) for slower in (1, 2, 3, 4, 5)]
    recorded = [LogRound(900 / slower, 1.0, 2.2 * slower) for slower in (1, 2, 3, 4)] + [LogRound(100.0, 1.0, 30.0)]
    cost = cost_of(without, recorded)
    assert [cost.cost, cost.p99_times] == pytest.approx([0.1, 1.1])
    assert [cost.cost_low, cost.cost_high] == pytest.approx([0.1, 0.5])

"""What the load test of the prediction log makes of its rounds."""

from __future__ import annotations

import pytest

from loadtests.prediction_log import LogRound, LogTurn, cost_of


def test_the_turns_of_a_round_are_compared_with_each_other() -> None:
    # The machine slows down during the rounds: only the turns of one round show that the log takes a tenth.
    rounds = [
        LogRound(LogTurn(1_000 / slower, 1.0, 1.0, 2.0 * slower), LogTurn(900 / slower, 1.0, 0.9, 2.2 * slower))
        for slower in (1.0, 2.0, 3.0, 4.0, 5.0)
    ]
    cost = cost_of(rounds)
    assert [cost.cost, cost.cost_low, cost.cost_high, cost.cpu_cost, cost.p99_times] == pytest.approx([0.1, 0.1, 0.1, 0.1, 1.1])
    assert cost.worker_cost == pytest.approx(0.0)  # the other tenth is the time of the process that writes


def test_rounds_that_differ_widen_the_interval() -> None:
    rounds = [LogRound(LogTurn(1_000, 1.0, 1.0, 2.0), LogTurn(requests, 1.0, 1.0, 2.0)) for requests in (1_000, 800, 900, 950, 850)]
    cost = cost_of(rounds)
    assert cost.cost == pytest.approx(0.1)
    assert 0.0 <= cost.cost_low < 0.1 < cost.cost_high <= 0.2

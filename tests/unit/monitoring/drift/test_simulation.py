"""Quiet years raise an alarm on one day in sixty at most, and ten planted drifts are noticed within days."""

from __future__ import annotations

import numpy as np
import pytest

from tests.drift.simulation import PLANTED, VOLUMES, delays, quiet_alarms

#: Days within which half of the services must have noticed, at 200 and at 1,000 answers a day.
MEDIANS = {
    "a label of 11 % doubles": (8, 6),
    "a label of 8 % vanishes": (7, 6),
    "a new topic, a fifth of the answers": (9, 9),
    "a campaign, one answer in eight": (6, 6),
    "confidence falls by 8 points": (8, 8),
    "another language, 8 points": (8, 8),
    "texts are 30 % shorter": (8, 8),
    "8 points more to review": (9, 8),
    "latency doubles": (8, 8),
    "accuracy falls by 20 points": (10, 10),
}


@pytest.mark.parametrize("volume", VOLUMES)
def test_quiet_days_raise_an_alarm_on_one_day_in_sixty_at_most(volume: float) -> None:
    assert quiet_alarms(volume, years=12, seed=2)["all"] <= 1 / 60


@pytest.mark.parametrize(("volume", "place"), [(200, 0), (1_000, 1)])
def test_each_planted_drift_is_noticed_within_days(volume: float, place: int) -> None:
    found = delays(volume, services=25, seed=3)
    assert MEDIANS.keys() == PLANTED.keys() == found.keys()
    assert {name: days for name, each in found.items() if (days := float(np.median(each))) > MEDIANS[name][place]} == {}
    assert {name: share for name, each in found.items() if (share := float(np.isfinite(each).mean())) < 0.8} == {}

"""The daily sample: the same from the same ids, and without preference."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from passerelle.monitoring.daily_sample import sample_of

DAY = date(2026, 11, 23)
IDS = [f"answer-{number}" for number in range(1_000)]


def test_a_sample_depends_on_day_and_ids_alone() -> None:
    mixed = list(reversed(IDS))
    assert sample_of(IDS, DAY, 20) == sample_of([*mixed, *mixed], DAY, 20)
    assert set(sample_of(IDS, DAY, 20)) != set(sample_of(IDS, DAY + timedelta(days=1), 20))


def test_a_larger_sample_begins_with_the_smaller_one_and_ends_with_the_ids() -> None:
    assert sample_of(IDS, DAY, 50)[:20] == sample_of(IDS, DAY, 20)
    assert sorted(sample_of(IDS, DAY, 5_000)) == sorted(IDS)
    assert sample_of([], DAY, 20) == ()


def test_each_answer_is_drawn_as_often_as_any_other() -> None:
    """Over 400 days each of 50 ids is expected 80 times, with a standard deviation of 8."""
    ids = IDS[:50]
    counts = Counter(each for number in range(400) for each in sample_of(ids, DAY + timedelta(days=number), 10))
    assert set(counts) == set(ids)
    assert 45 < min(counts.values()) <= max(counts.values()) < 115

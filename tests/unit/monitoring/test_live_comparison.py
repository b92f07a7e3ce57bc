"""Shares have intervals, the counts of several services add up, and a limit breaks once chance is ruled out."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from passerelle.monitoring.live_comparison import broken_limits, compared, counts_of, difference, mean, wilson
from passerelle.monitoring.rollout_metrics import Role, RolloutMetrics

LIMITS = {
    "max_error_share": 0.05,
    "max_latency_ratio": 2.0,
    "max_review_share_difference": 0.1,
    "min_agreement": 0.8,
    "min_requests": 100,
}


class Counted:
    """The metrics of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = RolloutMetrics(self.registry)
        self.answer("production", 1_000)

    def text(self) -> str:
        return generate_latest(self.registry).decode()

    def answer(self, role: Role, times: int, *, seconds: float = 0.001, review: int = 0, label: str = "voirie", entry: int = 3) -> None:
        for place in range(times):
            self.metrics.answered(entry, role, "2" if role == "production" else "3", seconds, [(label, place < review)])

    def broken(self) -> tuple[str, ...]:
        return broken_limits(counts_of(3, [self.text()]), LIMITS)


# As scipy.stats.binomtest(count, of).proportion_ci(method="wilson") has them.
@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662), (1, 1_000, 0.00018, 0.00565)],
)
def test_the_interval_of_a_share(count: int, of: int, low: float, high: float) -> None:
    found = wilson(count, of)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)
    assert found.value == count / of


def test_nothing_counted_is_no_share() -> None:
    assert wilson(0, 0).value is None
    assert difference(wilson(0, 0), wilson(1, 2)) is None


def test_the_interval_of_a_difference() -> None:
    # Newcombe 1998, table II, example (a), method 10.
    found = difference(wilson(56, 70), wilson(48, 80))
    assert found is not None
    assert list(found) == pytest.approx([0.2, 0.0524, 0.3339], abs=1e-4)


def test_the_counts_of_services_add_up_and_those_of_other_entries_do_not_count() -> None:
    one, other = Counted(), Counted()
    one.answer("candidate", 10, review=5, seconds=0.004)
    one.answer("candidate", 5, label="déchets", seconds=0.004)
    one.answer("candidate", 7, entry=2)
    one.metrics.failed(3, "candidate", "3")
    one.metrics.shadowed(3, "same")
    one.metrics.shadowed(3, "dropped")
    one.metrics.differed(3, 0.25)
    other.metrics.shadowed(3, "different")
    other.metrics.differed(3, 0.75)
    other.metrics.backed_out.labels("3").set(1)
    found = compared(counts_of(3, [one.text(), other.text()]))
    assert (found.production.requests, found.candidate.requests, found.candidate.versions) == (2_000, 16, ("3",))
    assert {label: (share.count, share.of) for label, share in found.candidate.labels.items()} == {"déchets": (5, 15), "voirie": (10, 15)}
    assert (found.candidate.labels["déchets"].low, found.candidate.labels["déchets"].high) == pytest.approx((0.1518, 0.5829), abs=1e-4)
    assert (found.candidate.errors.count, found.candidate.review.count, found.candidate.review.of) == (1, 5, 15)
    assert found.candidate.latency_ms is not None
    assert found.candidate.latency_ms.value == pytest.approx(4.0)
    assert (found.agreement.value, found.dropped, found.probability_difference, found.backed_out) == (0.5, 1, 0.5, 1)
    assert math.isclose(found.review_difference[0], 1 / 3)  # type: ignore[index]


def test_the_interval_of_a_mean() -> None:
    values = [1.0, 2.0, 4.0, 9.0]
    found = mean(sum(values), sum(value * value for value in values), len(values))
    assert found is not None
    # 1.96 times the standard deviation 3.559, by the root of four.
    assert (found.value, found.low, found.high) == pytest.approx((4.0, 0.5122, 7.4878), abs=1e-4)
    assert mean(1.0, 1.0, 1) is None


def test_a_time_that_chance_explains_breaks_no_limit() -> None:
    service = Counted()
    service.answer("candidate", 198)
    service.answer("candidate", 2, seconds=0.2)
    found = compared(counts_of(3, [service.text()])).candidate.latency_ms
    assert found is not None
    assert (found.value > 2, found.low < 1) == (True, True)
    assert service.broken() == ()


def test_nothing_counted_breaks_nothing() -> None:
    assert broken_limits(counts_of(3, []), {**LIMITS, "min_requests": 0}) == ()


def test_a_good_candidate_breaks_no_limit() -> None:
    service = Counted()
    service.answer("candidate", 1_000, review=100)
    assert service.broken() == ()


def test_few_requests_break_no_limit() -> None:
    service = Counted()
    for _ in range(99):
        service.metrics.failed(3, "candidate", "3")
    assert service.broken() == ()
    service.metrics.failed(3, "candidate", "3")
    assert service.broken() == ("the share of errors is 100.0%, and 5.0% is the most",)


def test_a_share_that_chance_explains_breaks_no_limit() -> None:
    service = Counted()
    service.answer("candidate", 93)
    for _ in range(7):
        service.metrics.failed(3, "candidate", "3")
    assert service.broken() == ()


def test_each_limit_is_checked() -> None:
    service = Counted()
    service.answer("candidate", 200, seconds=0.0021, review=60)
    for place in range(200):
        service.metrics.shadowed(3, "same" if place < 100 else "different")
    assert service.broken() == (
        "a request takes 2.1 times as long, and 2 times is the most",
        "the share to review differs by +30.0%, and 10.0% is the most",
        "the labels agree on 50.0% of the records, and 80.0% is the least",
    )
    assert broken_limits(counts_of(3, [service.text()]), {}) == ()


def test_fewer_answers_to_review_are_a_difference_too() -> None:
    service = Counted()
    service.answer("production", 1_000, review=1_000)
    service.answer("candidate", 500)
    assert service.broken() == ("the share to review differs by -50.0%, and 10.0% is the most",)

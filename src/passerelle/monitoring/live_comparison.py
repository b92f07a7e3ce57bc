"""A candidate next to the version in production, from what services counted: shares with intervals, and limits that are broken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from passerelle.monitoring.rollout_metrics import (
    BACKED_OUT,
    DIFFERENCE,
    PREFIX,
    ROLLOUT_LABELS,
    ROLLOUT_REQUESTS,
    ROLLOUT_REVIEWS,
    ROLLOUT_SECONDS,
    SHADOW,
    SQUARED_SECONDS,
)

#: Of a normal distribution: 95 % of it lie within, for what is shown.
SHOWN_Z = 1.96
#: 99.9 % of it lie within: the limits are checked every few seconds, and chance must not break one.
LIMIT_Z = 3.29
_LEAST_VALUES = 2


@dataclass(frozen=True)
class Interval:
    """A share, and the interval that the true one lies in.

    Attributes:
        value: None where nothing was counted.
    """

    count: int
    of: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Mean:
    """A mean, and the interval that the true one lies in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LiveFigures:
    """What one of the two answered.

    Attributes:
        latency_ms: Mean time to score a request, with the interval that the true mean lies in; None before the second one.
        labels: How often each was given, as a share of all.
    """

    versions: tuple[str, ...]
    requests: int
    errors: Interval
    latency_ms: Mean | None
    review: Interval
    labels: Mapping[str, Interval]


@dataclass(frozen=True)
class LiveComparison:
    """Both, since the ledger's entry about the candidate.

    Attributes:
        agreement: Share of the records that a shadow labelled as the answer does.
        dropped: Records that the shadow did not score because its queue was full.
        probability_difference: Mean difference of the probability of the answer's label; None where no shadow scored.
        review_difference: Of the shares to review, the candidate's less production's, with its interval; None where one has no answers.
        backed_out: How many of the services that were asked send no requests to the candidate any longer.
    """

    entry: int
    production: LiveFigures
    candidate: LiveFigures
    agreement: Interval
    dropped: int
    probability_difference: float | None
    review_difference: tuple[float, float, float] | None
    backed_out: int


def wilson(count: int, of: int, z: float = SHOWN_Z) -> Interval:
    """Return a share with Wilson's score interval (E. B. Wilson, Probable inference, JASA 22, 1927)."""
    if of == 0:
        return Interval(0, 0, None, 0.0, 1.0)
    share, spread = count / of, z * z / of
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return Interval(count, of, share, max(0.0, centre - half), min(1.0, centre + half))


def difference(first: Interval, second: Interval) -> tuple[float, float, float] | None:
    """Return the first share less the second, with Newcombe's interval from both Wilson intervals (Statistics in Medicine 17, 1998)."""
    if first.value is None or second.value is None:
        return None
    by = first.value - second.value
    low = by - math.hypot(first.value - first.low, second.high - second.value)
    high = by + math.hypot(first.high - first.value, second.value - second.low)
    return by, low, high


def mean(total: float, squares: float, of: int, z: float = SHOWN_Z) -> Mean | None:
    """Return a mean with the interval of its normal approximation; None of fewer than two values, which say nothing of how far others lie.

    Args:
        total: Of the values.
        squares: Of the values, added up.
        of: How many there are.
    """
    if of < _LEAST_VALUES:
        return None
    value = total / of
    variance = max(0.0, squares / of - value * value) * of / (of - 1)
    half = z * math.sqrt(variance / of)
    return Mean(value, max(0.0, value - half), value + half)


@dataclass
class RolloutCounts:
    """The counts of one entry, of any number of services.

    Attributes:
        counts: By what is counted, the role, and the version, outcome or label.
    """

    entry: int
    counts: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Add the counts in the text of a service's `/metrics`."""
        # A service has ten times as many metrics, and reads its own while it answers.
        own = "\n".join(line for line in text.splitlines() if line.startswith(PREFIX))
        for family in text_string_to_metric_families(own + "\n"):
            for sample in family.samples:
                if sample.labels.get("entry") == str(self.entry):
                    what = sample.labels.get("label", sample.labels.get("outcome", ""))
                    self._count(sample.name, sample.labels.get("role", ""), what, sample.value)
                    if sample.name == f"{ROLLOUT_REQUESTS}_total":
                        self._count("versions", sample.labels["role"], sample.labels["model_version"], sample.value)

    def _count(self, name: str, role: str, what: str, value: float) -> None:
        self.counts[name, role, what] = self.counts.get((name, role, what), 0.0) + value

    def of(self, name: str, role: str = "", what: str = "") -> int:
        """Return one count."""
        return int(self.counts.get((name, role, what), 0.0))

    def by(self, name: str, role: str) -> dict[str, int]:
        """Return the counts of a role by version or label."""
        return {what: int(value) for (each, of, what), value in sorted(self.counts.items()) if (each, of) == (name, role)}


def compared(counts: RolloutCounts, z: float = SHOWN_Z) -> LiveComparison:
    """Return the comparison that the counts add up to."""
    shadow = {outcome: counts.of(f"{SHADOW}_total", what=outcome) for outcome in ("same", "different", "dropped", "failed")}
    production, candidate = (_side(counts, role, z) for role in ("production", "candidate"))
    scored, differed = counts.counts.get((f"{DIFFERENCE}_count", "", ""), 0.0), counts.counts.get((f"{DIFFERENCE}_sum", "", ""), 0.0)
    return LiveComparison(
        entry=counts.entry,
        production=production,
        candidate=candidate,
        agreement=wilson(shadow["same"], shadow["same"] + shadow["different"], z),
        dropped=shadow["dropped"],
        probability_difference=differed / scored if scored else None,
        review_difference=difference(candidate.review, production.review),
        backed_out=counts.of(BACKED_OUT),
    )


def _side(counts: RolloutCounts, role: str, z: float) -> LiveFigures:
    answered, failed = (counts.of(f"{ROLLOUT_REQUESTS}_total", role, outcome) for outcome in ("ok", "error"))
    labels, timed = counts.by(f"{ROLLOUT_LABELS}_total", role), counts.of(f"{ROLLOUT_SECONDS}_count", role)
    given = sum(labels.values())
    seconds, squares = (counts.counts.get((name, role, ""), 0.0) for name in (f"{ROLLOUT_SECONDS}_sum", f"{SQUARED_SECONDS}_total"))
    return LiveFigures(
        versions=tuple(counts.by("versions", role)),
        requests=answered + failed,
        errors=wilson(failed, answered + failed, z),
        latency_ms=mean(seconds * 1_000, squares * 1_000_000, timed, z),
        review=wilson(counts.of(f"{ROLLOUT_REVIEWS}_total", role), given, z),
        labels={label: wilson(times, given, z) for label, times in labels.items()},
    )


def broken_limits(counts: RolloutCounts, limits: Mapping[str, int | float]) -> tuple[str, ...]:
    """Return a sentence for each limit that the candidate breaks; none before it has the least number of requests.

    A limit is broken once the whole interval lies beyond it: chance must not break one.

    Args:
        limits: As the criteria name them; one that is missing is not checked.
    """
    comparison = compared(counts, LIMIT_Z)
    if comparison.candidate.requests < limits.get("min_requests", 1):
        return ()
    return tuple(_broken(comparison, limits))


def _broken(comparison: LiveComparison, limits: Mapping[str, int | float]) -> Iterator[str]:
    production, candidate = comparison.production, comparison.candidate
    errors, ratio = limits.get("max_error_share", math.inf), limits.get("max_latency_ratio", math.inf)
    review, agreement = limits.get("max_review_share_difference", math.inf), limits.get("min_agreement", -math.inf)
    if candidate.errors.value is not None and candidate.errors.low > errors:
        yield f"the share of errors is {candidate.errors.value:.1%}, and {errors:.1%} is the most"
    ours, theirs = candidate.latency_ms, production.latency_ms
    if ours is not None and theirs is not None and ours.low > ratio * theirs.high:
        yield f"a request takes {ours.value / theirs.value:.1f} times as long, and {ratio:g} times is the most"
    if comparison.review_difference is not None:
        by, low, high = comparison.review_difference
        if low > review or high < -review:
            yield f"the share to review differs by {by:+.1%}, and {review:.1%} is the most"
    if comparison.agreement.value is not None and comparison.agreement.high < agreement:
        yield f"the labels agree on {comparison.agreement.value:.1%} of the records, and {agreement:.1%} is the least"


def counts_of(entry: int, texts: Iterable[str]) -> RolloutCounts:
    """Return the counts of one entry in the texts of several services' `/metrics`."""
    counts = RolloutCounts(entry)
    for text in texts:
        counts.add(text)
    return counts

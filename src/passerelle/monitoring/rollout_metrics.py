"""Metrics of a candidate beside the version in production; all of them count from the ledger's entry that began it."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: What the names of all metrics of this module begin with.
PREFIX = "passerelle_rollout_"
#: The metrics that `passerelle rollout --status` reads back.
ROLLOUT_REQUESTS, ROLLOUT_REVIEWS, ROLLOUT_LABELS = "passerelle_rollout_requests", "passerelle_rollout_reviews", "passerelle_rollout_labels"
ROLLOUT_SECONDS, SHADOW, DIFFERENCE = (
    "passerelle_rollout_duration_seconds",
    "passerelle_rollout_shadow",
    "passerelle_rollout_probability_difference",
)
SQUARED_SECONDS = "passerelle_rollout_squared_seconds"
BACKED_OUT = "passerelle_rollout_backed_out"
Role = Literal["production", "candidate"]
ShadowOutcome = Literal["same", "different", "dropped", "failed"]
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_DIFFERENCES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)


class RolloutMetrics:
    """The metrics of one worker of a service that follows a candidate.

    Args:
        registry: That the service's other metrics are in.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        by_role = ["entry", "role", "model_version"]
        self._requests = Counter(
            ROLLOUT_REQUESTS, "Requests answered while there is a candidate.", [*by_role, "outcome"], registry=registry
        )
        self._seconds = Histogram(
            ROLLOUT_SECONDS, "Time to score a request while there is a candidate.", by_role, buckets=_SECONDS, registry=registry
        )
        # With sum and count it gives the variance, hence the interval that the mean lies in.
        self._squared = Counter(
            SQUARED_SECONDS, "Squares of the times to score a request while there is a candidate, added up.", by_role, registry=registry
        )
        self._reviews = Counter(
            ROLLOUT_REVIEWS, "Answers that a person should look at while there is a candidate.", by_role, registry=registry
        )
        self._labels = Counter(ROLLOUT_LABELS, "Labels given while there is a candidate.", [*by_role, "label"], registry=registry)
        self._shadow = Counter(SHADOW, "Records that a candidate scored beside the answer.", ["entry", "outcome"], registry=registry)
        self._difference = Histogram(
            DIFFERENCE,
            "Difference between the probabilities that both give to the answer's label.",
            ["entry"],
            buckets=_DIFFERENCES,
            registry=registry,
        )
        self.backed_out = Gauge(
            BACKED_OUT, "1 where no requests are sent to the candidate because it broke a limit.", ["entry"], registry=registry,
            multiprocess_mode="livemax",
        )  # fmt: skip

        # A child is looked up by its labels once, as in the service's other metrics.
        self._children: dict[tuple[int, Role, str], tuple[Counter, Histogram, Counter, Counter]] = {}
        self._of_label: dict[tuple[tuple[int, Role, str], str], Counter] = {}
        self._of_outcome: dict[tuple[int, ShadowOutcome], Counter] = {}

    def answered(self, entry: int, role: Role, version: str, seconds: float, answers: list[tuple[str, bool]]) -> None:
        """Count a request that was answered.

        Args:
            answers: Label of each record, and whether a person should look at it.
        """
        key = (entry, role, version)
        children = self._children.get(key)
        if children is None:
            of = (str(entry), role, version)
            counters = (self._reviews.labels(*of), self._squared.labels(*of))
            children = self._children[key] = (self._requests.labels(*of, "ok"), self._seconds.labels(*of), *counters)
        requests, histogram, reviews, squared = children
        requests.inc()
        histogram.observe(seconds)
        squared.inc(seconds * seconds)
        for label, review in answers:
            counter = self._of_label.get((key, label))
            if counter is None:
                counter = self._of_label[key, label] = self._labels.labels(str(entry), role, version, label)
            counter.inc()
            if review:
                reviews.inc()

    def failed(self, entry: int, role: Role, version: str) -> None:
        """Count a request that could not be answered."""
        self._requests.labels(str(entry), role, version, "error").inc()

    def shadowed(self, entry: int, outcome: ShadowOutcome) -> None:
        """Count a record that the candidate was to score beside the answer."""
        counter = self._of_outcome.get((entry, outcome))
        if counter is None:
            counter = self._of_outcome[entry, outcome] = self._shadow.labels(str(entry), outcome)
        counter.inc()

    def differed(self, entry: int, by: float) -> None:
        """Count by how much the probability of the answer's label differs."""
        self._difference.labels(str(entry)).observe(by)

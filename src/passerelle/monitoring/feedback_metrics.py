"""Metrics of the feedback that a worker takes."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

#: About an answer of a version that this worker serves or has served; of one that it does not know; the same as before, which is not kept.
SERVED, UNKNOWN_VERSION, REPEATED = ORIGINS = ("served", "unknown_version", "repeated")
FEEDBACK_METRIC: Final = "passerelle_feedback"


class FeedbackMetrics:
    """What one worker counts of the feedback that it takes.

    Args:
        registry: That the service's other metrics are in.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter(FEEDBACK_METRIC, "Feedback accepted.", ["about"], registry=registry)
        # What never occurred counts 0, so that an alarm can compare.
        self._counts = {origin: counter.labels(origin) for origin in ORIGINS}

    def accept(self, origin: str) -> None:
        """Count one feedback."""
        self._counts[origin].inc()

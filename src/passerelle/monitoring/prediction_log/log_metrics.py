"""Metrics of the prediction log."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from passerelle.monitoring.prediction_log.drop_reasons import REASONS

DROPPED: Final = "passerelle_prediction_log_dropped"
WRITTEN: Final = "passerelle_prediction_log_written"


class LogMetrics:
    """What one worker counts of its prediction log.

    Args:
        registry: That the service's other metrics are in; None counts for `/model` alone.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.dropped = dict.fromkeys(REASONS, 0)
        self.written = 0
        self._dropped: dict[str, Counter] = {}
        self._written: Counter | None = None
        if registry is not None:
            dropped = Counter(DROPPED, "Records that are missing in the prediction log.", ["reason"], registry=registry)
            # A reason that never occurred counts 0, so that an alarm can compare.
            self._dropped = {reason: dropped.labels(reason) for reason in REASONS}
            self._written = Counter(WRITTEN, "Records in the prediction log.", registry=registry)

    def drop(self, reason: str, records: int = 1) -> None:
        """Count records that are not written."""
        self.dropped[reason] += records
        if reason in self._dropped:
            self._dropped[reason].inc(records)

    def write(self, records: int) -> None:
        """Count records that were written."""
        self.written += records
        if self._written is not None:
            self._written.inc(records)

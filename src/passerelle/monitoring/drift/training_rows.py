"""How the version in production did on the held-out rows of its training: what its answers are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from passerelle.monitoring.drift.rules import LABELS, Measure
from passerelle.monitoring.drift.windows import Rows


@dataclass(frozen=True)
class TrainingRows:
    """A version on held-out rows.

    Attributes:
        rows: How many there are.
        labels: Rows by the label that the model gave, which the answers' labels are comparable with; the right labels are not.
        figures: Mean and variance of each figure; accuracy and confidence where the model has them.
        calibration_error: By how much its probabilities are off on average; None without probabilities.
    """

    version: int
    rows: int
    labels: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[Measure, tuple[float, float]] = field(default_factory=dict)
    calibration_error: float | None = None

    def rows_of(self, measure: Measure, labels: Sequence[str]) -> Rows | None:
        """Return the rows' figure as windows are compared with it; None where they have none."""
        if measure == LABELS:
            shares = np.array([self.labels.get(label, 0) / self.rows for label in labels])
            return Rows(np.full(len(labels), float(self.rows)), shares, shares * (1 - shares))
        if measure not in self.figures:
            return None
        mean, variance = self.figures[measure]
        return Rows(np.array(float(self.rows)), np.array(mean), np.array(variance))

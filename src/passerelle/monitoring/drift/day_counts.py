"""What the answers of one day add up to: all that drift is judged by, without any record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import numpy as np

from passerelle.monitoring.drift.rules import LABELS, MEASURES, Measure
from passerelle.monitoring.drift.windows import Series


class Sums(NamedTuple):
    """Of one figure: records that have it, its sum, and the sum of its squares."""

    records: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, records: int, total: float, squares: float | None = None) -> Sums:
        """Return the sums with more records; of a yes or no, the squares are the sum."""
        return Sums(self.records + records, self.total + total, self.squares + (total if squares is None else squares))

    @property
    def mean(self) -> float | None:
        """The mean; None without records."""
        return self.total / self.records if self.records else None


@dataclass(frozen=True)
class DayCounts:
    """One day.

    Attributes:
        labels: Answers by label.
        versions: Answers by model version.
        sums: By figure.
        most_repeated: Answers to the record that came most often.
        latency_ms: The median and the 95th percentile of single requests; None without one.
        texts: Texts that were looked at for words.
        words: Texts among them that hold a word, redacted texts alone.
    """

    day: date
    answers: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    sums: Mapping[Measure, Sums] = field(default_factory=dict)
    most_repeated: int = 0
    latency_ms: tuple[float, float] | None = None
    texts: int = 0
    words: Mapping[str, int] = field(default_factory=dict)


def series_of(days: Sequence[DayCounts], labels: Sequence[str]) -> dict[Measure, Series]:
    """Return each figure by days; of the labels, one row each.

    Args:
        days: One each day, without a gap, in order.
        labels: All that are counted.
    """
    found: dict[Measure, Series] = {}
    answers = np.array([[day.answers for day in days]] * len(labels), dtype=np.float64)
    counts = np.array([[day.labels.get(label, 0) for day in days] for label in labels], dtype=np.float64)
    found[LABELS] = Series(answers, counts, counts)
    for name in MEASURES:
        sums = np.array([day.sums.get(name, Sums()) for day in days], dtype=np.float64)
        found[name] = Series(sums[:, 0], sums[:, 1], sums[:, 2])
    return found

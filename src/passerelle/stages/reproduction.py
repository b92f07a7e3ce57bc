"""Whether a model that was trained again is the same: its metrics, its golden predictions, what it holds and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passerelle.stages.model_comparison import ModelComparison

#: Measured times always differ.
TIMES = ("latency_", "fit_seconds")
#: Archives contain timestamps.
SIZES = ("size_bytes",)


@dataclass(frozen=True)
class MetricPair:
    """One metric of both runs."""

    metric: str
    recorded: float
    again: float | None

    @property
    def same(self) -> bool:
        """Whether both are equal within a relative difference of 1e-12: the order of summation may differ."""
        return self.again is not None and abs(self.recorded - self.again) <= 1e-12 * max(1.0, abs(self.recorded))

    @property
    def change(self) -> float | None:
        """How much larger the metric of the second training is; None where it has none."""
        return None if self.again is None else self.again - self.recorded


@dataclass(frozen=True)
class TrainingComparison:
    """How a second training compares.

    Attributes:
        metrics: All but times and sizes.
        labels_differ: Golden predictions with another label.
        largest_difference: Of a golden probability; None where one of the two has none.
        model: What the two models hold and answer; None where they were not compared.
    """

    metrics: tuple[MetricPair, ...]
    labels_differ: int
    largest_difference: float | None
    model: ModelComparison | None = None

    @property
    def same(self) -> bool:
        """Whether it is the same model."""
        return (self.model is None or self.model.same) and self.same_figures

    @property
    def same_figures(self) -> bool:
        """Whether metrics and golden predictions are the same."""
        return self.labels_differ == 0 and (self.largest_difference or 0.0) <= 1e-9 and all(each.same for each in self.metrics)  # noqa: PLR2004


def compare_trainings(
    recorded: Mapping[str, float],
    again: Mapping[str, float],
    golden: Mapping[str, Any],
    golden_again: Mapping[str, Any],
    model: ModelComparison | None = None,
) -> TrainingComparison:
    """Return how the second training compares with the recorded one.

    Args:
        recorded: The metrics of the recorded run.
        again: Those of the second.
        golden: The content of golden.json of the recorded run.
        golden_again: That of the second.
        model: How the two models compare.
    """
    names = sorted(name for name in recorded if not name.startswith((*TIMES, *SIZES)))
    differ = sum(a != b for a, b in zip(golden["labels"], golden_again["labels"], strict=False))
    differ += abs(len(golden["labels"]) - len(golden_again["labels"]))
    rows, rows_again = golden["probabilities"], golden_again["probabilities"]
    largest = None
    if rows and rows_again and len(rows) == len(rows_again):
        largest = max(abs(a - b) for row, other in zip(rows, rows_again, strict=True) for a, b in zip(row, other, strict=True))
    return TrainingComparison(tuple(MetricPair(name, recorded[name], again.get(name)) for name in names), differ, largest, model)

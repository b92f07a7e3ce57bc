"""Days of a service that answers evenly, one figure at a time moved by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from passerelle.criteria import Criteria
from passerelle.monitoring.drift.day_counts import DayCounts, Sums
from passerelle.monitoring.drift.drift_result import DriftResult
from passerelle.monitoring.drift.rules import Measure
from passerelle.monitoring.drift.signals import HISTORY, drift_result
from passerelle.monitoring.drift.training_rows import TrainingRows

LAST = date(2026, 1, 31)
EVEN = {"Voirie": 60, "Propreté": 30, "<b>Écoles</b>": 10}


def sums(answers: int, shares: Mapping[Measure, float]) -> dict[Measure, Sums]:
    """Return the sums of figures that are shares of the answers."""
    return {name: Sums().plus(answers, round(answers * share)) for name, share in shares.items()}


def day(back: int = 0, labels: Mapping[str, int] | None = None, *, version: str = "3", **shares: float) -> DayCounts:
    """Return the day so many days before the last."""
    counted = EVEN if labels is None else labels
    answers = sum(counted.values())
    figures: dict[Measure, float] = {"review": 0.1, "confidence": 0.7, "duplicates": 0.0, **shares}  # type: ignore[dict-item]
    return DayCounts(LAST - timedelta(days=back), answers, counted, {version: answers} if answers else {}, sums(answers, figures))


def history(last: Sequence[DayCounts] = (), labels: Mapping[str, int] | None = None) -> list[DayCounts]:
    """Return as many days as a result depends on, the last of which are given."""
    return [*(day(back, labels) for back in range(HISTORY - 1, len(last) - 1, -1)), *last]


TRAINING = TrainingRows(3, 400, {"Voirie": 240, "Propreté": 120, "<b>Écoles</b>": 40}, {"confidence": (0.7, 0.04)}, 0.05)


def found(days: list[DayCounts], training: TrainingRows | None = TRAINING, limits: Mapping[str, object] | None = None) -> DriftResult:
    """Return the result of the last day."""
    assert len(days) == HISTORY
    return drift_result("comments", days, training, Criteria.model_validate({"drift": limits} if limits else {}))

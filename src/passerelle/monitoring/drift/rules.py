"""When a difference is an alarm: which effect counts, beyond which chance, for how many days."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from passerelle.criteria import Drift
from passerelle.monitoring.drift.windows import Compared, Rows, Series, Truths, against_month, against_rows, holm, shifted

Measure = Literal[
    "labels", "review", "confidence", "unknown_ngrams", "length", "duplicates", "other_language", "corrections", "accuracy", "latency"
]
Reference = Literal["month", "training"]
LABELS: Final[Measure] = "labels"
#: Each figure of a record; `length` and `latency` are logarithms, of words and of milliseconds.
MEASURES: Final[tuple[Measure, ...]] = (
    "review", "confidence", "unknown_ngrams", "length", "duplicates", "other_language", "corrections", "accuracy", "latency",
)  # fmt: skip
#: Logarithms, whose differences are ratios.
LOGARITHMS: Final[frozenset[Measure]] = frozenset({"length", "latency"})
#: A label of which fewer are expected may be missing by chance.
_EXPECTED_OF_A_VANISHED_LABEL: Final = 10.0


@dataclass(frozen=True)
class Rule:
    """Of one figure.

    Attributes:
        least: Records that a window needs.
        points: Least difference that counts.
        ratio: Least difference that counts too, as a share of the reference.
        ways: Whether it counts when the figure rises, falls, or both.
    """

    least: int
    points: float
    ratio: float = 0.0
    ways: Literal["up", "down", "both"] = "both"


def rules_of(limits: Drift) -> Mapping[Measure, Rule]:
    """Return the rule of each figure."""
    least = limits.min_answers
    return {
        LABELS: Rule(least, limits.class_points, limits.class_ratio),
        "review": Rule(least, limits.review_points),
        "confidence": Rule(least, limits.confidence_points),
        "unknown_ngrams": Rule(least, limits.unknown_points, ways="up"),
        "length": Rule(least, math.log1p(limits.length_ratio)),
        "duplicates": Rule(least, limits.duplicate_points, ways="up"),
        "other_language": Rule(least, limits.language_points, ways="up"),
        "corrections": Rule(least, limits.correction_points, ways="up"),
        "accuracy": Rule(limits.min_sample, limits.accuracy_points, ways="down"),
        "latency": Rule(least, math.log1p(limits.latency_ratio), ways="up"),
    }


class Judged(NamedTuple):
    """A comparison with its verdict, for the window that ends on each day.

    Attributes:
        counts: Whether the difference counts on that day.
        alarm: Whether it does for as many days in a row as the criteria say.
    """

    compared: Compared
    counts: Truths
    alarm: Truths


def judged_month(measure: Measure, series: Series, limits: Drift) -> Judged:
    """Return the figure next to the month before.

    Args:
        series: Of the labels, one row a label: shape (…, labels, days).
    """
    rule = rules_of(limits)[measure]
    return _judged(measure, against_month(series, rule.least), rule, limits)


def judged_rows(measure: Measure, series: Series, limits: Drift, rows: Rows) -> Judged:
    """Return the figure next to held-out rows."""
    rule = rules_of(limits)[measure]
    return _judged(measure, against_rows(series, rule.least, rows), rule, limits)


def _judged(measure: Measure, compared: Compared, rule: Rule, limits: Drift) -> Judged:
    if measure == LABELS:
        compared = compared._replace(p_value=holm(compared.p_value, axis=-2))
    with np.errstate(invalid="ignore"):
        difference = compared.value - compared.reference
        effect = (np.abs(difference) >= rule.points) & (np.abs(difference) >= rule.ratio * compared.reference)
        if measure == LABELS:
            expected = compared.reference * compared.records
            effect |= (compared.value == 0) & (expected >= _EXPECTED_OF_A_VANISHED_LABEL)
        effect &= {"up": difference > 0, "down": difference < 0, "both": difference != 0}[rule.ways]
        counts = effect & (compared.p_value < limits.p_value)
    alarm = counts.copy()
    for back in range(1, limits.days_in_row):
        alarm &= shifted(counts.astype(np.float64), back) > 0
    return Judged(compared, counts, alarm)

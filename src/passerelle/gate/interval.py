"""What is known of a difference between two models: its interval, what follows for a margin, and what more rows would tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from scipy.stats import t as student

from passerelle.criteria import Champion

Comparison = Literal["passed", "worse", "not_better", "too_few"]
#: How often a model should pass that deserves it.
_POWER = 0.8
_SHARES = {"accuracy", "macro_f1"}


def compared(value: float, low: float, rule: Champion) -> Comparison:
    """Return what follows: the lower end decides whether it passes, the value itself whether it is refused for being worse."""
    if value < -rule.margin:
        return "worse"
    if rule.superior and value <= 0:
        return "not_better"
    # By such a margin everything is near enough, however few rows there are.
    enough = low > 0 if rule.superior else low >= -rule.margin or rule.margin >= 1
    return "passed" if enough else "too_few"


@dataclass(frozen=True)
class DifferenceInterval:
    """By how much the challenger is better than the champion, with what is known of that.

    Attributes:
        metric: What both are compared by.
        value: On the rows that there are.
        error: Standard error of the value.
        groups: Groups of near-duplicates among the rows, which are drawn whole.
        disputed: Groups on which the models differ.
        level: Probability with which the true difference is below `low`, and likewise above `high`.
        rows: That both were judged by.
    """

    metric: str
    value: float
    error: float
    groups: int
    disputed: int
    level: float
    rows: int

    @cached_property
    def quantile(self) -> float:
        """Standard errors from the value to either end, by Student's distribution: the fewer groups are in dispute, the more."""
        return float(student.isf(self.level, self.disputed + 2))

    @property
    def low(self) -> float:
        """Lower end."""
        low = self.value - self.quantile * self.error
        return max(low, -1.0) if self.metric in _SHARES else low

    @property
    def high(self) -> float:
        """Upper end."""
        high = self.value + self.quantile * self.error
        return min(high, 1.0) if self.metric in _SHARES else high

    def compared(self, rule: Champion) -> Comparison:
        """Return what follows."""
        return compared(self.value, self.low, rule)

    def seen(self, rule: Champion) -> float:
        """Return the true difference at which a model passes four times in five on these rows."""
        return (self.quantile + self._reach) * self.error - self._bound(rule)

    def rows_to_tell(self, rule: Champion) -> int | None:
        """Return how many rows would let a deserving model pass four times in five; None where no number would.

        A model deserves it that is as good as the champion, or better by the margin where the criteria ask for a better one; without a
        margin, one that is as much better as this one seems to be.
        """
        distance = rule.margin or self.value
        if distance <= 0:
            return None
        needed = self.rows * ((self.quantile + self._reach) * self.error / distance) ** 2
        return _rounded_up(needed)

    @cached_property
    def _reach(self) -> float:
        return float(student.isf(1 - _POWER, self.disputed + 2))

    @staticmethod
    def _bound(rule: Champion) -> float:
        return 0.0 if rule.superior else rule.margin


def _rounded_up(rows: float) -> int:
    """Return the number with two digits that count: it is an estimate."""
    step: int = 10 ** max(int(math.log10(max(rows, 1))) - 1, 0)
    return int(math.ceil(rows / step) * step)

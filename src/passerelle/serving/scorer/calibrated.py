"""CalibratedClassifierCV: one or several linear models, their scores calibrated class by class and averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression

from passerelle.serving.scorer.heads import TWO, Head, linear_head, side_by_side
from passerelle.serving.scorer.refusal import Refusal, named
from passerelle.serving.scorer.sections import Floats

_ROUNDING = 1e-5


def head_of(classifier: Any, part: str) -> Head:
    """Return the head of this classifier, calibrated or not.

    Raises:
        Refusal: It has no exact counterpart.
    """
    if type(classifier) is FrozenEstimator:
        return head_of(classifier.estimator, f"{part}.{named('estimator', classifier.estimator)}")
    if type(classifier) is not CalibratedClassifierCV:
        return linear_head(classifier, part)
    if not hasattr(classifier, "calibrated_classifiers_"):
        raise Refusal(part, "not fitted")
    classes = np.asarray(classifier.classes_)
    members: list[_Member] = []
    heads: list[Head] = []
    start = 0
    for i, fitted in enumerate(classifier.calibrated_classifiers_):
        head = head_of(fitted.estimator, f"{part}.calibrated_classifiers_[{i}].{named('estimator', fitted.estimator)}")
        if head.by_probability:
            raise Refusal(part, "a calibrated classifier inside another one")
        members.append(_Member.of(fitted, head, start, len(classes), part))
        heads.append(head)
        start += head.scores
    coefficients, intercepts = side_by_side([(head.coefficients, head.intercepts) for head in heads])
    return Head(coefficients, intercepts, classes, _average(members), by_probability=True)


def _average(members: list[_Member]) -> Callable[[Floats], Floats]:
    def link(scores: Floats) -> Floats:
        total = members[0].probabilities(scores)
        for member in members[1:]:
            total = total + member.probabilities(scores)
        return total / len(members)

    return link


@dataclass(frozen=True)
class _Member:
    """One calibrated model of an ensemble.

    Attributes:
        head: The model.
        start: Its first score among all members'.
        classes: Number of classes of the whole.
        positions: The class of each calibrator.
        calibrate: From the model's values (texts, calibrators) to probabilities of the same shape.
    """

    head: Head
    start: int
    classes: int
    positions: tuple[int, ...]
    calibrate: Callable[[Floats], Floats]

    @classmethod
    def of(cls, fitted: Any, head: Head, start: int, classes: int, part: str) -> _Member:
        """Return the member for a `_CalibratedClassifier`."""
        columns = np.searchsorted(fitted.classes, head.classes)
        # Of two classes there is one calibrator, for the second; scikit-learn pairs columns and calibrators in this order too.
        positions = tuple(int(column) + (classes == TWO) for column, _ in zip(columns, fitted.calibrators, strict=False))
        if fitted.method == "sigmoid":
            return cls(head, start, classes, positions, _sigmoids(fitted.calibrators))
        if fitted.method == "isotonic" and all(type(c) is IsotonicRegression and c.out_of_bounds == "clip" for c in fitted.calibrators):
            return cls(head, start, classes, positions, _isotonics(fitted.calibrators))
        raise Refusal(part, f"calibration by {fitted.method} is not compiled")

    def probabilities(self, scores: Floats) -> Floats:
        """Return this member's probabilities, shape (texts, classes), from the scores of all members."""
        values = self._values(scores[:, self.start : self.start + self.head.scores])
        table = np.zeros((len(scores), self.classes))
        table[:, self.positions] = self.calibrate(values)
        if self.classes == TWO:
            table[:, 0] = 1.0 - table[:, 1]
        else:
            total = table.sum(axis=1, keepdims=True)
            table = np.where(total == 0.0, 1.0 / self.classes, table / np.where(total == 0.0, 1.0, total))
        table[(table > 1.0) & (table <= 1.0 + _ROUNDING)] = 1.0
        return table

    def _values(self, scores: Floats) -> Floats:
        """Return what the calibrators were fitted on: margins, or naive Bayes' probabilities."""
        if self.head.link is None or self.head.positive is not None:
            return scores
        rows = self.head.link(scores)
        return rows[:, 1:] if rows.shape[1] == TWO else rows


def _sigmoids(calibrators: Any) -> Callable[[Floats], Floats]:
    slopes, offsets = np.array([c.a_ for c in calibrators]), np.array([c.b_ for c in calibrators])
    return lambda values: np.asarray(expit(-(slopes * values + offsets)))


def _isotonics(calibrators: Any) -> Callable[[Floats], Floats]:
    steps = [(c.X_thresholds_, c.y_thresholds_, c.X_min_, c.X_max_) for c in calibrators]

    def calibrate(values: Floats) -> Floats:
        columns = [np.interp(np.clip(v, low, high), x, y) for v, (x, y, low, high) in zip(values.T, steps, strict=True)]
        return np.stack(columns, axis=1)

    return calibrate

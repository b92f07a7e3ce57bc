"""What a model says of labelled rows, and how good that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

Labels = NDArray[np.str_]
Floats = NDArray[np.float64]
BINS = 10


@dataclass(frozen=True)
class Scores:
    """One model on n rows.

    Attributes:
        truth: The right labels, shape (n,).
        said: The model's labels, shape (n,).
        probabilities: Shape (n, classes) in the order of `classes`, or None.
        classes: The model's classes.
        latency_p95_ms: Processor time of one answer, by what answers in production.
        size_bytes: Of the model's files.
    """

    truth: Labels
    said: Labels
    probabilities: Floats | None
    classes: tuple[str, ...]
    latency_p95_ms: float
    size_bytes: float

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels that are right for some row or that the model knows, sorted."""
        return tuple(sorted({*self.truth.tolist(), *self.classes}))

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Rows of each right label (down) that got each label (across), shape (labels, labels)."""
        counts: NDArray[np.int64] = confusion_matrix(self.truth, self.said, labels=list(self.labels))
        return counts

    @cached_property
    def class_f1(self) -> Mapping[str, float]:
        """F1 of each label that is right for some row."""
        present = sorted(set(self.truth.tolist()))
        values = f1_score(self.truth, self.said, labels=present, average=None, zero_division=0)
        return dict(zip(present, map(float, values), strict=True))

    @cached_property
    def figures(self) -> Mapping[str, float]:
        """The figures that criteria may limit, by name; log loss and calibration only with probabilities."""
        found = {
            "accuracy": float(accuracy_score(self.truth, self.said)),
            "macro_f1": float(np.mean(list(self.class_f1.values()))),
            "latency_p95_ms": self.latency_p95_ms,
            "size_bytes": self.size_bytes,
        }
        if self.probabilities is not None and set(self.truth.tolist()) <= set(self.classes):
            found["log_loss"] = float(log_loss(self.truth, self.probabilities, labels=list(self.classes)))
            found["calibration_error"] = float(sum(weight * abs(right - stated) for weight, stated, right in self.reliability))
        return found

    @cached_property
    def reliability(self) -> tuple[tuple[float, float, float], ...]:
        """For each bin of stated probability that holds rows: its share of them, the mean stated, the share that is right.

        The weighted mean of |right - stated| is the expected calibration error: Naeini, Cooper, Hauskrecht, AAAI 2015; for several
        classes as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
        """
        if self.probabilities is None:
            return ()
        stated = self.probabilities.max(axis=1)
        right = (np.asarray(self.classes)[self.probabilities.argmax(axis=1)] == self.truth).astype(np.float64)
        place = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
        rows = [(float(np.mean(place == bin_)), place == bin_) for bin_ in range(BINS)]
        return tuple((share, float(stated[held].mean()), float(right[held].mean())) for share, held in rows if share)

    def part(self, rows: NDArray[np.bool_]) -> Scores:
        """Return the same model on some of the rows."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Scores(self.truth[rows], self.said[rows], probabilities, self.classes, self.latency_p95_ms, self.size_bytes)

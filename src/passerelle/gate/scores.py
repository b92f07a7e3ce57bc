"""The predictions of a model on labelled rows and their figures, defined once for training and the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

Labels = NDArray[np.str_]
Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Bins of equal width of the calibration error.
BINS = 10


class Bin(NamedTuple):
    """The rows whose highest probability is in one part of 0 to 1.

    Attributes:
        place: Of the bin, from 0.
        rows: How many there are.
        stated: Mean of their highest probability.
        right: Share of them whose likeliest label is right.
    """

    place: int
    rows: int
    stated: float
    right: float


def class_f1(truth: Labels, predicted: Labels, classes: Sequence[str]) -> dict[str, float]:
    """Return the F1 of each of these classes; 0 for one without rows."""
    if not classes:
        return {}
    values = metrics.f1_score(truth, predicted, labels=list(classes), average=None, zero_division=0)
    return dict(zip(classes, map(float, values), strict=True))


def macro_f1(truth: Codes, predicted: Codes, classes: int) -> float:
    """Return the mean of the F1 of each class that is right for some row, all of equal weight.

    The "averaged F1" of Opitz and Burst, "Macro F1 and Macro F1", arXiv:1911.03347, 2019. A class without rows has no F1: its recall is
    0/0. A model that gives it all the same is wrong on that row, which lowers the F1 of the right class. So two models are judged over the
    same classes on the same rows, whichever classes they know.

    By `bincount`: scikit-learn takes a millisecond, and a bootstrap thousands of resamples.

    Args:
        truth: Shape (n,), from 0 to classes - 1.
        predicted: Shape (n,), likewise.
        classes: How many there are.
    """
    hits = np.bincount(truth[truth == predicted], minlength=classes)
    support, given = np.bincount(truth, minlength=classes), np.bincount(predicted, minlength=classes)
    present = support > 0
    return float(np.mean(2 * hits[present] / (support[present] + given[present])))


def accuracy(truth: Codes | Labels, predicted: Codes | Labels) -> float:
    """Return the share of the rows whose label is right."""
    return float(np.mean(truth == predicted))


def reliability(truth: Labels, probabilities: Floats, classes: Sequence[str], *, bins: int = BINS) -> tuple[Bin, ...]:
    """Return the bins of equal width that hold rows, in their order."""
    stated = probabilities.max(axis=1)
    right = np.asarray(classes)[probabilities.argmax(axis=1)] == truth
    places = np.minimum((stated * bins).astype(np.int64), bins - 1)
    masks = [(place, places == place) for place in range(bins)]
    return tuple(Bin(place, int(rows.sum()), float(stated[rows].mean()), float(right[rows].mean())) for place, rows in masks if rows.any())


def calibration_error(truth: Labels, probabilities: Floats, classes: Sequence[str], *, bins: int = BINS) -> float:
    """Return the expected calibration error of the likeliest label, from 0 to 1.

    The mean over bins, weighted by their rows, of |share that is right - mean probability|: Naeini, Cooper, Hauskrecht, "Obtaining Well
    Calibrated Probabilities Using Bayesian Binning", AAAI 2015; for several classes as in Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017.
    """
    filled = reliability(truth, probabilities, classes, bins=bins)
    return float(sum(each.rows * abs(each.right - each.stated) for each in filled) / len(truth))


def figures_of(
    truth: Labels, predicted: Labels, probabilities: Floats | None, classes: Sequence[str], *, bins: int = BINS
) -> dict[str, float]:
    """Return accuracy and macro-F1, with probabilities log loss and calibration error too.

    The last two are left out where a row's right label is none of the model's classes: its probability is not known.

    Args:
        truth: The right labels, shape (n,).
        predicted: The model's labels, shape (n,).
        probabilities: Shape (n, classes) in the order of `classes`, or None.
        classes: The model's classes, sorted.
        bins: Of the calibration error.
    """
    names, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    right, given = np.split(codes, 2)
    found = {"accuracy": accuracy(truth, predicted), "macro_f1": macro_f1(right, given, len(names))}
    if probabilities is not None and set(truth.tolist()) <= set(classes):
        found["log_loss"] = float(metrics.log_loss(truth, probabilities, labels=list(classes)))
        found["calibration_error"] = calibration_error(truth, probabilities, classes, bins=bins)
    return found


@dataclass(frozen=True)
class Scores:
    """One model on n rows.

    Attributes:
        truth: The right labels, shape (n,).
        predicted: The model's labels, shape (n,).
        probabilities: Shape (n, classes) in the order of `classes`, or None.
        classes: The model's classes.
        latency_p95_ms: Processor time of one answer, by what answers in production.
        size_bytes: Of the model's files.
    """

    truth: Labels
    predicted: Labels
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
        counts: NDArray[np.int64] = metrics.confusion_matrix(self.truth, self.predicted, labels=list(self.labels))
        return counts

    @cached_property
    def class_f1(self) -> Mapping[str, float]:
        """F1 of each label that is right for some row."""
        return class_f1(self.truth, self.predicted, sorted(set(self.truth.tolist())))

    @cached_property
    def figures(self) -> Mapping[str, float]:
        """The figures that criteria may limit, by name; log loss and calibration only with probabilities."""
        found = figures_of(self.truth, self.predicted, self.probabilities, self.classes)
        return {**found, "latency_p95_ms": self.latency_p95_ms, "size_bytes": self.size_bytes}

    @cached_property
    def reliability(self) -> tuple[tuple[float, float, float], ...]:
        """For each bin of stated probability that holds rows: its share of them, the mean stated, the share that is right."""
        if self.probabilities is None:
            return ()
        filled = reliability(self.truth, self.probabilities, self.classes)
        return tuple((each.rows / len(self.truth), each.stated, each.right) for each in filled)

    def part(self, rows: NDArray[np.bool_]) -> Scores:
        """Return the same model on some of the rows."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Scores(self.truth[rows], self.predicted[rows], probabilities, self.classes, self.latency_p95_ms, self.size_bytes)

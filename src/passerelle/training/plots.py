"""The pictures of a candidate: the confusion matrix and the reliability diagram."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from passerelle.gate import scores
from passerelle.gate.scores import Labels
from passerelle.training.evaluate import Predictions

_LONGEST_NAME = 30
_MOST_CLASSES_WITH_FIGURES = 25
_DOTS_PER_INCH = 110


def confusion(truth: Labels, predictions: Predictions, *, title: str) -> Figure:
    """Return the confusion matrix: rows are the truth, colours the share of the row, figures the records."""
    classes = list(predictions.classes)
    counts = confusion_matrix(truth, predictions.labels, labels=classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(5.0, 0.5 * len(classes) + 3.0)
    figure = Figure(figsize=(side, side * 0.9), layout="constrained", dpi=_DOTS_PER_INCH)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_short(name) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    if len(classes) <= _MOST_CLASSES_WITH_FIGURES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            dark = shares[row, column] > 0.5  # noqa: PLR2004 - half way up the colour map
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color="white" if dark else "black")
    return figure


def reliability(truth: Labels, predictions: Predictions, *, title: str, bins: int) -> Figure | None:
    """Return share right against probability, with the number of records under it; none without probabilities."""
    if predictions.probabilities is None:
        return None
    filled = scores.reliability(truth, predictions.probabilities, predictions.classes, bins=bins)
    counts = np.zeros(bins)
    counts[[each.place for each in filled]] = [each.rows for each in filled]
    figure = Figure(figsize=(5.5, 6.0), layout="constrained", dpi=_DOTS_PER_INCH)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color="grey", linestyle="--", label="honest")
    above.plot([each.stated for each in filled], [each.right for each in filled], marker="o", color="tab:blue", label="this candidate")
    above.set(title=title, ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    above.legend(loc="upper left")
    below.bar((np.arange(bins) + 0.5) / bins, counts, width=0.9 / bins, color="tab:blue")
    below.set(xlabel="probability of the predicted class", ylabel="records")
    return figure


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"

"""The figures of a candidate: cross-validated and held-out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.pipeline import Pipeline

Labels = NDArray[np.str_]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What a pipeline says about some records.

    Attributes:
        labels: Predicted label of each record.
        probabilities: One row a record, one column a class in the order of `classes`; none when the pipeline gives none.
        classes: Sorted.
    """

    labels: Labels
    probabilities: Probabilities | None
    classes: tuple[str, ...]


def predict(pipeline: Pipeline, records: pd.DataFrame) -> Predictions:
    """Return the fitted pipeline's labels and probabilities."""
    probabilities = pipeline.predict_proba(records).astype(np.float64) if hasattr(pipeline, "predict_proba") else None
    return Predictions(np.asarray(pipeline.predict(records), dtype=str), probabilities, tuple(map(str, pipeline.classes_)))


def out_of_fold(
    pipeline: Pipeline, records: pd.DataFrame, labels: Labels, folds: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> Predictions:
    """Return what the pipeline says of each record when it was fitted on the other folds.

    Args:
        pipeline: Left unfitted; a clone is fitted for each fold.
        records: One row a record.
        labels: One a record; every class is in every fold's part to fit on.
        folds: Positions to fit on and to score; the latter hold every record once.
    """
    said, scored = [], []
    for fit, score in folds:
        fitted = clone(pipeline).fit(records.iloc[fit], labels[fit])
        said.append(predict(fitted, records.iloc[score]))
        scored.append(score)
    order = np.argsort(np.concatenate(scored))
    probabilities = [part.probabilities for part in said if part.probabilities is not None]
    return Predictions(
        labels=np.concatenate([part.labels for part in said])[order],
        probabilities=np.concatenate(probabilities)[order] if probabilities else None,
        classes=said[0].classes,
    )


def figures(truth: Labels, said: Predictions, *, prefix: str, bins: int) -> dict[str, float]:
    """Return accuracy, macro-F1, per-class F1 and, with probabilities, log loss and calibration error.

    Args:
        truth: The right label of each record.
        said: Predictions for the same records.
        prefix: `cv` or `test`; starts each name.
        bins: Bins of the calibration error.
    """
    classes = list(said.classes)
    by_class = f1_score(truth, said.labels, labels=classes, average=None, zero_division=0)
    result = {
        f"{prefix}_accuracy": float(accuracy_score(truth, said.labels)),
        f"{prefix}_macro_f1": float(np.mean(by_class)),
        **{f"{prefix}_f1/{slug}": float(value) for slug, value in zip(slugs(classes), by_class, strict=True)},
    }
    if said.probabilities is not None:
        result[f"{prefix}_log_loss"] = float(log_loss(truth, said.probabilities, labels=classes))
        result[f"{prefix}_calibration_error"] = calibration_error(truth, said.probabilities, classes, bins=bins)
    return result


def calibration_error(truth: Labels, probabilities: Probabilities, classes: Sequence[str], *, bins: int = 10) -> float:
    """Return the expected calibration error of the likeliest label, from 0 (honest) to 1.

    The mean over bins of equal width, weighted by their records, of |share that is right - mean probability|:
    Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015;
    for several classes as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    confidence, right, place = binned_confidence(truth, probabilities, classes, bins=bins)
    counts = np.bincount(place, minlength=bins)
    gaps = np.abs(np.bincount(place, right, minlength=bins) - np.bincount(place, confidence, minlength=bins))
    return float(gaps.sum() / counts.sum())


def binned_confidence(
    truth: Labels, probabilities: Probabilities, classes: Sequence[str], *, bins: int
) -> tuple[Probabilities, Probabilities, NDArray[np.int64]]:
    """Return each record's highest probability, 1.0 where its label is right, and its bin (0 to bins - 1)."""
    confidence = probabilities.max(axis=1)
    right = (np.asarray(classes)[probabilities.argmax(axis=1)] == truth).astype(np.float64)
    return confidence, right, np.minimum((confidence * bins).astype(np.int64), bins - 1)


def per_class(classes: Sequence[str], truth: Labels, metrics: Mapping[str, float]) -> dict[str, object]:
    """Return the content of per_class.json: each class with its records and its F1, cross-validated and held-out."""
    support = {str(name): int(count) for name, count in zip(*np.unique(truth, return_counts=True), strict=True)}
    rows = [
        {
            "label": name,
            "slug": slug,
            "support": support.get(name, 0),
            "cv_f1": metrics[f"cv_f1/{slug}"],
            "test_f1": metrics[f"test_f1/{slug}"],
        }
        for name, slug in zip(classes, slugs(classes), strict=True)
    ]
    return {"classes": rows}


def slugs(classes: Sequence[str]) -> list[str]:
    """Return a name for each class that a metric may hold: ASCII letters, digits and underscores, all different."""
    result: list[str] = []
    for position, name in enumerate(classes):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or f"class_{position + 1}"
        result.append(slug if slug not in result else f"{slug}_{position + 1}")
    return result

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
from sklearn.pipeline import Pipeline

from passerelle.gate.scores import Floats, Labels, class_f1, figures_of


@dataclass(frozen=True)
class Predictions:
    """What a pipeline says about some records.

    Attributes:
        labels: Predicted label of each record.
        probabilities: One row a record, one column a class in the order of `classes`; none when the pipeline gives none.
        classes: Sorted.
    """

    labels: Labels
    probabilities: Floats | None
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
    parts, scored = [], []
    for fit, score in folds:
        fitted = clone(pipeline).fit(records.iloc[fit], labels[fit])
        parts.append(predict(fitted, records.iloc[score]))
        scored.append(score)
    order = np.argsort(np.concatenate(scored))
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Predictions(
        labels=np.concatenate([part.labels for part in parts])[order],
        probabilities=np.concatenate(probabilities)[order] if probabilities else None,
        classes=parts[0].classes,
    )


def figures(truth: Labels, predictions: Predictions, *, prefix: str, bins: int) -> dict[str, float]:
    """Return accuracy, macro-F1, per-class F1 and, with probabilities, log loss and calibration error.

    Args:
        truth: The right label of each record.
        predictions: Predictions for the same records.
        prefix: `cv` or `test`; starts each name.
        bins: Bins of the calibration error.
    """
    found = figures_of(truth, predictions.labels, predictions.probabilities, predictions.classes, bins=bins)
    by_class = class_f1(truth, predictions.labels, predictions.classes)
    return {
        **{f"{prefix}_{name}": value for name, value in found.items()},
        **{f"{prefix}_f1/{slug}": value for slug, value in zip(slugs(predictions.classes), by_class.values(), strict=True)},
    }


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

"""The figures of a candidate: cross-validated and held-out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import Pipeline

from passerelle.gate.scores import Floats, Labels, class_f1, figures_of

#: Their label is the one with the highest probability.
_LIKELIEST = frozenset(
    {
        CalibratedClassifierCV,
        ComplementNB,
        HistGradientBoostingClassifier,
        LogisticRegression,
        MultinomialNB,
        RandomForestClassifier,
        SGDClassifier,
    }
)
#: Difference of two probabilities under which rounding may have exchanged them.
_TIE = 1e-9


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
    """Return the fitted pipeline's labels and probabilities; the features of the records are computed once."""
    classifier, features = pipeline, records
    if isinstance(pipeline, Pipeline):
        classifier = pipeline.steps[-1][1]
        features = pipeline[:-1].transform(records) if len(pipeline.steps) > 1 else records
    classes = tuple(map(str, pipeline.classes_))
    if not hasattr(classifier, "predict_proba"):
        return Predictions(np.asarray(classifier.predict(features), dtype=str), None, classes)
    probabilities = np.asarray(classifier.predict_proba(features)).astype(np.float64)
    return Predictions(_labels(classifier, features, probabilities), probabilities, classes)


def _labels(classifier: ClassifierMixin, features: pd.DataFrame | Floats, probabilities: Floats) -> Labels:
    """Return the classifier's own labels, asking it only where its probabilities do not decide.

    Rounding can make probabilities equal where what they were computed from was not, and some classifiers choose in another way
    (SVC, those with a threshold of their own).
    """
    if type(classifier) not in _LIKELIEST:
        return np.asarray(classifier.predict(features), dtype=str)
    labels: Labels = np.asarray(classifier.classes_).astype(str)[probabilities.argmax(axis=1)]
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    tied = np.flatnonzero(~(first - second > _TIE))
    if tied.size:
        some = features.iloc[tied] if isinstance(features, pd.DataFrame) else features[tied]
        labels[tied] = np.asarray(classifier.predict(some), dtype=str)
    return labels


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
        while slug in result:
            slug = f"{slug}_{position + 1}"
        result.append(slug)
    return result

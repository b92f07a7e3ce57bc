"""Both recipes compared by cross-validation on all rows, where too few rows are left that neither model learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from passerelle.gate.near_duplicates import groups_of_records
from passerelle.gate.scores import Labels, accuracy, macro_f1
from passerelle.model.flavors.flavor import FittedClassifier

FOLDS = 5
#: Of a small data set, whose folds are few rows; one of a larger one.
REPEATS, SMALL_ROWS = 2, 2_000
#: More rows are not drawn: a fit takes time in proportion.
MOST_ROWS = 10_000


@dataclass(frozen=True)
class RecipeDifference:
    """How the challenger's recipe does next to the champion's: the pipelines with their settings, fitted again on the same rows.

    Attributes:
        metric: `accuracy` or `macro_f1`.
        value: Mean over the folds, challenger less champion.
        low: Lower end of its interval.
        high: Upper end.
        folds: Folds that both were fitted and scored on.
        rows: Rows of the data.
    """

    metric: str
    value: float
    low: float
    high: float
    folds: int
    rows: int


def compare_recipes(
    champion: FittedClassifier,
    challenger: FittedClassifier,
    records: pd.DataFrame,
    labels: Labels,
    *,
    metric: str,
    confidence: float,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> RecipeDifference:
    """Return the difference between both recipes, each fitted on four fifths of the rows and scored on the others, in turn.

    The interval is that of the corrected resampled t-test: the variance of the mean over J folds is (1/J + n2/n1) of the variance between
    folds, for n2 rows scored and n1 fitted on, since folds share most of what they fit on. Nadeau and Bengio, "Inference for the
    Generalization Error", Machine Learning 52, 2003. Near-duplicates are in one fold. At most 20 fits, on at most 8,000 rows each.

    Args:
        champion: A pipeline of scikit-learn, as is the challenger; neither is changed.
        records: All rows.
        labels: One a record.
        confidence: Of the interval, from 0 to 1.
        seed: Of the folds.
        progress: Called with a line after each fold.

    Raises:
        As the pipelines, where they cannot be fitted.
    """
    records, labels = _sample(records, labels, seed)
    differences, shares = [], []
    for fit, score in _folds(records, labels, seed):
        figures = [_figure(each, records, labels, (fit, score), metric=metric) for each in (challenger, champion)]
        differences.append(figures[0] - figures[1])
        shares.append(len(score) / len(fit))
        progress(f"both fitted again: fold {len(shares)} of {_times(records) * FOLDS} done")
    found = np.array(differences)
    variance = (1 / len(found) + float(np.mean(shares))) * float(found.var(ddof=1))
    reach = float(student.ppf((1 + confidence) / 2, len(found) - 1)) * variance**0.5
    value = float(found.mean())
    return RecipeDifference(metric, value, value - reach, value + reach, len(found), len(records))


def _sample(records: pd.DataFrame, labels: Labels, seed: int) -> tuple[pd.DataFrame, Labels]:
    """Return the rows, or as many of them as are compared by."""
    if len(records) <= MOST_ROWS:
        return records, labels
    chosen = np.sort(np.random.default_rng(seed).choice(len(records), MOST_ROWS, replace=False))
    return records.iloc[chosen].reset_index(drop=True), labels[chosen]


def _folds(records: pd.DataFrame, labels: Labels, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    groups = groups_of_records(records)
    for repeat in range(_times(records)):
        yield from StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed + repeat).split(records, labels, groups)


def _times(records: pd.DataFrame) -> int:
    """Return how often the rows are cut into folds."""
    return REPEATS if len(records) <= SMALL_ROWS else 1


def _figure(
    pipeline: FittedClassifier, records: pd.DataFrame, labels: Labels, fold: tuple[NDArray[np.int64], NDArray[np.int64]], *, metric: str
) -> float:
    fit, score = fold
    fitted = clone(pipeline).fit(records.iloc[fit], labels[fit])
    predicted = np.asarray(fitted.predict(records.iloc[score]), dtype=str)
    if metric == "accuracy":
        return accuracy(labels[score], predicted)
    names, codes = np.unique(np.concatenate([labels[score], predicted]), return_inverse=True)
    truth, given = np.split(codes, 2)
    return macro_f1(truth, given, len(names))

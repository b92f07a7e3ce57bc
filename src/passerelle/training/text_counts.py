"""Counts of the n-grams of all records, from which each fold gets its features without reading the texts again."""

from __future__ import annotations

from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

#: Settings of a vectorizer that say what is counted; all others say what becomes of the counts.
_COUNTED = frozenset(CountVectorizer().get_params()) - {"dtype"}
_WEIGHTED = frozenset(TfidfTransformer().get_params())


class FoldFeatures(NamedTuple):
    """Features of a fold.

    Attributes:
        fitted_on: Of the records to fit on.
        scored: Of those to score.
    """

    fitted_on: csr_array
    scored: csr_array


class TextCounts:
    """Counts each text once for all folds; reading the texts is most of what features cost.

    A fold knows only the n-grams of the records that it fits on, and how many of these have each, as a vectorizer that was fitted on them:
    the features are the same but for the last digits, since a row's values are added in another order.

    Args:
        records: All of which the folds are parts.
    """

    def __init__(self, records: pd.DataFrame) -> None:
        self._records = records
        self._counts: dict[str, csr_array] = {}

    def of_fold(
        self, vectorizer: BaseEstimator, columns: tuple[object, ...], fold: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> FoldFeatures | None:
        """Return the features that a vectorizer of one column gives a fold; None where the vectorizer has to read the texts itself.

        Args:
            fold: Positions to fit on and to score.
        """
        if not (len(columns) == 1 and isinstance(columns[0], str) and _from_counts(vectorizer)):
            return None
        try:
            counts = self._of_column(vectorizer, columns[0])
        except ValueError:
            return None  # no n-gram is left; the vectorizer raises what it has to say about this
        fit, score = (counts[places] for places in fold)
        known = np.flatnonzero(np.bincount(fit.indices, minlength=fit.shape[1]) >= max(vectorizer.min_df, 1))
        if not known.size:
            return None  # likewise
        settings = {name: value for name, value in vectorizer.get_params().items() if name in _WEIGHTED}
        weights = TfidfTransformer(**settings)
        found = weights.fit_transform(fit[:, known].astype(vectorizer.dtype))
        return FoldFeatures(found, weights.transform(score[:, known].astype(vectorizer.dtype), copy=False))

    def _of_column(self, vectorizer: TfidfVectorizer, column: str) -> csr_array:
        settings = {name: value for name, value in vectorizer.get_params().items() if name in _COUNTED}
        key = str(joblib.hash((settings, column)))
        if key not in self._counts:
            # With `min_df`: an n-gram that too few of all records have is known to no fold.
            self._counts[key] = CountVectorizer(**settings, dtype=np.int32).fit_transform(self._records[column])
        return self._counts[key]


def _from_counts(vectorizer: BaseEstimator) -> bool:
    """Return whether the features depend on nothing but the counts, and in the way that is repeated here."""
    return (
        type(vectorizer) is TfidfVectorizer
        and vectorizer.vocabulary is None
        and vectorizer.max_features is None
        and type(vectorizer.max_df) is float
        and vectorizer.max_df == 1
        and type(vectorizer.min_df) is int
        and np.issubdtype(vectorizer.dtype, np.floating)
    )

"""Features that several pipelines have in common, fitted once on the same records."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from passerelle.gate.scores import Labels
from passerelle.training.evaluate import Predictions, predict
from passerelle.training.text_counts import FoldFeatures, TextCounts

_NOT_HASHABLE = (pickle.PicklingError, TypeError, AttributeError)


class _Features(Protocol):
    """A matrix of features, dense or sparse."""

    def copy(self) -> _Features: ...


@dataclass(frozen=True)
class Fitted:
    """A pipeline that was fitted.

    Attributes:
        pipeline: As `clone(pipeline).fit(…)` gives it; the transformers may be those of other pipelines too.
        predictions: Of the records to score.
        fit_seconds: Processor time of a fit on its own: features that were there already count with what they took.
    """

    pipeline: Pipeline
    predictions: Predictions
    fit_seconds: float


class SharedFeatures:
    """Fits pipelines on the same records; a transformer that several of them begin with is fitted once.

    Shared are the first step of a pipeline, or the transformers of this step where it is a `ColumnTransformer`: all others get their
    input from another step. Two are the same when their class, settings and columns are equal. Whatever could give other features the next
    time, or takes its input in another way, is left to its pipeline.

    Args:
        records: To fit on.
        labels: One a record.
        scored: Records to score with each pipeline.
    """

    def __init__(self, records: pd.DataFrame, labels: Labels, scored: pd.DataFrame) -> None:
        self._records, self._labels, self._scored = records, labels, scored
        self._parts: dict[str, _Part] = {}

    def _part(self, slot: _Slot) -> _Part:
        """Return a transformer that is not fitted yet."""
        return _Part(slot.transformer)

    def fit(self, pipeline: Pipeline) -> Fitted:
        """Return a clone of the pipeline, fitted, with what it predicts for the records to score."""
        fitted = clone(pipeline)
        earlier = set(self._parts)
        parts = self._replace(fitted)
        start = time.process_time()  # criteria may limit it, and other people's work is none of the candidate's
        fitted.fit(self._records, self._labels)
        seconds = time.process_time() - start + sum(part.seconds for key, part in parts.items() if key in earlier)
        predictions = predict(fitted, self._scored)
        _restore(fitted)
        return Fitted(fitted, predictions, seconds)

    def _replace(self, pipeline: Pipeline) -> dict[str, _Part]:
        """Put a stand-in for each transformer that can be shared; return the parts that they stand for."""
        used = {}
        for slot in _slots(pipeline):
            if (key := _key(slot.transformer, slot.columns)) is not None:
                used[key] = self._parts.setdefault(key, self._part(slot))
                # The next step may change its input; a ColumnTransformer copies its parts into a matrix of its own.
                slot.put(_StandIn(used[key], copies=slot.entries is pipeline.steps))
        return used


class FoldPredictions(SharedFeatures):
    """Fits pipelines on the records of a fold, for what they predict: a vectorizer whose features come from counts is not fitted.

    Args:
        records: Those of all folds.
        labels: One a record.
        fold: Positions to fit on and to score.
        counts: Of the same records.
    """

    def __init__(
        self, records: pd.DataFrame, labels: Labels, fold: tuple[NDArray[np.int64], NDArray[np.int64]], counts: TextCounts
    ) -> None:
        fit, score = fold
        super().__init__(records.iloc[fit], labels[fit], records.iloc[score])
        self._fold, self._counts = fold, counts

    def _part(self, slot: _Slot) -> _Part:
        # No lambda that holds this object: in such a circle a fold's features stay until the garbage collector looks for them.
        return _Part(slot.transformer, partial(self._counts.of_fold, slot.transformer, slot.columns, self._fold))


class _Part:
    """A transformer, with its features of the records to fit on and of those to score.

    Args:
        counted: Returns both without fitting it, or None.
    """

    def __init__(self, transformer: BaseEstimator, counted: Callable[[], FoldFeatures | None] = lambda: None) -> None:
        self.transformer, self.seconds, self._counted = transformer, 0.0, counted
        self._fitted_on: _Features | None = None
        self._scored: _Features | None = None

    def fitted_on(self, records: pd.DataFrame, labels: Labels | None) -> _Features:
        """Return the features of the records to fit on; fits the transformer the first time."""
        if self._fitted_on is None:
            start = time.process_time()
            self._fitted_on, self._scored = self._counted() or (self.transformer.fit_transform(records, labels), None)
            self.seconds = time.process_time() - start
        return self._fitted_on

    def scored(self, records: pd.DataFrame) -> _Features:
        """Return the features of the records to score."""
        if self._scored is None:
            self._scored = self.transformer.transform(records)
        return self._scored


class _StandIn(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Takes the place of a transformer in a pipeline while that is fitted and scores."""

    def __init__(self, part: _Part, *, copies: bool) -> None:
        self.part, self.copies = part, copies

    def __sklearn_clone__(self) -> _StandIn:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> object:
        return self.part.transformer.__sklearn_tags__()

    def fit(self, records: pd.DataFrame, labels: Labels | None = None) -> _StandIn:
        self.part.fitted_on(records, labels)
        return self

    def fit_transform(self, records: pd.DataFrame, labels: Labels | None = None) -> _Features:
        features = self.part.fitted_on(records, labels)
        return features.copy() if self.copies else features

    def transform(self, records: pd.DataFrame) -> _Features:
        features = self.part.scored(records)
        return features.copy() if self.copies else features


@dataclass(frozen=True)
class _Slot:
    """A place in a list of steps or transformers that holds one that may be shared."""

    entries: list[tuple[object, ...]]
    place: int

    @property
    def transformer(self) -> BaseEstimator:
        return self.entries[self.place][1]

    @property
    def columns(self) -> tuple[object, ...]:
        return self.entries[self.place][2:]

    def put(self, transformer: BaseEstimator) -> None:
        name, _, *columns = self.entries[self.place]
        self.entries[self.place] = (name, transformer, *columns)


def _slots(pipeline: Pipeline) -> Iterator[_Slot]:
    """Yield the places whose input are the records themselves."""
    if type(pipeline) is not Pipeline or pipeline.memory is not None or len(pipeline.steps) == 1:
        return
    first = pipeline.steps[0][1]
    if type(first) is not ColumnTransformer:
        yield _Slot(pipeline.steps, 0)
    elif first.n_jobs in (None, 1) and _gives_arrays(first):
        for place in range(len(first.transformers)):
            yield _Slot(first.transformers, place)


def _key(transformer: BaseEstimator, columns: tuple[object, ...]) -> str | None:
    """Return what tells whether two transformers are the same; None for one that cannot be shared."""
    if not hasattr(transformer, "fit_transform") or not _gives_arrays(transformer):  # "passthrough" and "drop" are strings
        return None
    settings = transformer.get_params()
    if any(name.endswith("random_state") and not isinstance(value, int) for name, value in settings.items()):
        return None
    try:
        return str(joblib.hash((transformer, columns)))
    except _NOT_HASHABLE:
        return None


def _gives_arrays(transformer: BaseEstimator) -> bool:
    return not hasattr(transformer, "_sklearn_output_config") and get_config()["transform_output"] == "default"


def _restore(pipeline: Pipeline) -> None:
    """Put the fitted transformers where the stand-ins are, and in the settings of a `ColumnTransformer` what it was given."""
    for slot in _slots(pipeline):
        if isinstance(slot.transformer, _StandIn):
            part = slot.transformer.part
            slot.put(part.transformer if slot.entries is pipeline.steps else clone(part.transformer))
    if isinstance(pipeline, Pipeline) and type(first := pipeline.steps[0][1]) is ColumnTransformer:
        first.transformers_ = [
            (name, fitted.part.transformer if isinstance(fitted, _StandIn) else fitted, columns)
            for name, fitted, columns in first.transformers_
        ]

"""Cross-validation of all candidates together, so that the features of a fold are computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from passerelle.gate.scores import Labels
from passerelle.training.evaluate import Predictions
from passerelle.training.features import Fitted, SharedFeatures

#: Positions to fit on and to score.
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
#: Gives the context in which the pipeline at a place is fitted.
Around = Callable[[int], AbstractContextManager[None]]


class LabelledRecords(NamedTuple):
    """Records to fit on.

    Attributes:
        records: One row a record.
        labels: One a record.
    """

    records: pd.DataFrame
    labels: Labels


def nothing_around(_: int) -> AbstractContextManager[None]:
    """Return a context that does nothing."""
    return nullcontext()


class CandidateFits(Protocol):
    """Where candidates are fitted: in this process, or on other machines. The same records give the same predictions."""

    def of_folds(
        self, pipelines: Sequence[Pipeline], data: LabelledRecords, folds: Sequence[Fold], around: Around
    ) -> Iterable[list[Predictions]]:
        """Return, for each fold in order, what each pipeline predicts for the records to score when it was fitted on the others.

        Args:
            around: An error that a pipeline raises is raised in its context.
        """

    def of_all(self, pipelines: Sequence[Pipeline], data: LabelledRecords, scored: pd.DataFrame) -> Iterator[Fitted]:
        """Yield each pipeline in turn, fitted on all records, with what it predicts for the records to score."""


class FitsHere:
    """Fits candidates in this process, one after the other; only the features of one fold are in memory."""

    def of_folds(
        self, pipelines: Sequence[Pipeline], data: LabelledRecords, folds: Sequence[Fold], around: Around
    ) -> Iterator[list[Predictions]]:
        """Yield what `CandidateFits.of_folds` describes."""
        for fold in folds:
            yield predictions_of_fold(pipelines, data, fold, around)

    def of_all(self, pipelines: Sequence[Pipeline], data: LabelledRecords, scored: pd.DataFrame) -> Iterator[Fitted]:
        """Yield what `CandidateFits.of_all` describes."""
        features = SharedFeatures(data.records, data.labels, scored)
        return (features.fit(pipeline) for pipeline in pipelines)


def predictions_of_fold(pipelines: Sequence[Pipeline], data: LabelledRecords, fold: Fold, around: Around) -> list[Predictions]:
    """Return what each pipeline predicts for the fold's records to score; a clone of it is fitted on the fold's other records."""
    fit, score = fold
    features = SharedFeatures(data.records.iloc[fit], data.labels[fit], data.records.iloc[score])
    predictions = []
    for place, pipeline in enumerate(pipelines):
        with around(place):
            predictions.append(features.fit(pipeline).predictions)
    return predictions


def out_of_fold(
    pipelines: Sequence[Pipeline],
    records: pd.DataFrame,
    labels: Labels,
    folds: Iterable[Fold],
    *,
    around: Around = nothing_around,
    fits: CandidateFits | None = None,
) -> list[Predictions]:
    """Return, for each pipeline, what it predicts for each record when it was fitted on the other folds.

    Args:
        pipelines: Left unfitted; a clone is fitted for each fold.
        records: One row a record.
        labels: One a record; every class is in every fold's part to fit on.
        folds: Positions to fit on and to score; the latter hold every record once.
        around: Gives the context in which the pipeline at this place is fitted.
        fits: Where they are fitted; by default in this process.
    """
    all_folds = tuple(folds)
    of_folds = list((fits or FitsHere()).of_folds(pipelines, LabelledRecords(records, labels), all_folds, around))
    order = np.argsort(np.concatenate([score for _, score in all_folds]))
    return [_joined(parts, order) for parts in zip(*of_folds, strict=True)]


def _joined(parts: Sequence[Predictions], order: NDArray[np.int64]) -> Predictions:
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Predictions(
        labels=np.concatenate([part.labels for part in parts])[order],
        probabilities=np.concatenate(probabilities)[order] if probabilities else None,
        classes=parts[0].classes,
    )

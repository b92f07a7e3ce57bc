"""Cross-validation of all candidates together, so that the features of a fold are computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from passerelle.gate.scores import Labels
from passerelle.training.candidate import FitFailure
from passerelle.training.evaluate import Predictions
from passerelle.training.features import Fitted, FoldPredictions, SharedFeatures
from passerelle.training.text_counts import TextCounts

#: Positions to fit on and to score.
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
#: Called before a pipeline is fitted, with its place and the number of the fold, which is 0 for all records.
Before = Callable[[int, int], None]
#: In the place of a pipeline's place, where all are fitted at once.
ALL = -1
#: What a fold gives for each pipeline.
Outcome = Predictions | FitFailure
_NO_FAILURES: Mapping[int, FitFailure] = MappingProxyType({})


class LabelledRecords(NamedTuple):
    """Records to fit on.

    Attributes:
        records: One row a record.
        labels: One a record.
    """

    records: pd.DataFrame
    labels: Labels


def nothing_before(_: int, __: int) -> None:
    """Do nothing."""


class CandidateFits(Protocol):
    """Where candidates are fitted: in this process, or on other machines. The same records give the same predictions."""

    def of_folds(
        self, pipelines: Sequence[Pipeline], data: LabelledRecords, folds: Sequence[Fold], before: Before
    ) -> Iterable[list[Outcome]]:
        """Return, for each fold in order, what each pipeline predicts for the records to score when it was fitted on the others."""

    def of_all(
        self, pipelines: Sequence[Pipeline], data: LabelledRecords, scored: pd.DataFrame, before: Before
    ) -> Iterator[Fitted | FitFailure]:
        """Yield each pipeline in turn, fitted on all records, with what it predicts for the records to score."""


class FitsHere:
    """Fits candidates in this process, one after the other; only the features of one fold are in memory, and the counts of all."""

    def of_folds(
        self, pipelines: Sequence[Pipeline], data: LabelledRecords, folds: Sequence[Fold], before: Before
    ) -> Iterator[list[Outcome]]:
        """Yield what `CandidateFits.of_folds` describes; a pipeline that failed is not fitted again."""
        failed: dict[int, FitFailure] = {}
        counts = TextCounts(data.records)
        for number, fold in enumerate(folds, start=1):
            outcomes = outcomes_of_fold(pipelines, data, fold, partial(_before_fold, before, number), failed=failed, counts=counts)
            failed |= {place: outcome for place, outcome in enumerate(outcomes) if isinstance(outcome, FitFailure)}
            yield outcomes

    def of_all(
        self, pipelines: Sequence[Pipeline], data: LabelledRecords, scored: pd.DataFrame, before: Before
    ) -> Iterator[Fitted | FitFailure]:
        """Yield what `CandidateFits.of_all` describes."""
        features = SharedFeatures(data.records, data.labels, scored)
        for place, pipeline in enumerate(pipelines):
            before(place, 0)
            yield fitted_or_failed(features, pipeline)


def _before_fold(before: Before, number: int, place: int) -> None:
    before(place, number)


def outcomes_of_fold(
    pipelines: Sequence[Pipeline],
    data: LabelledRecords,
    fold: Fold,
    before: Callable[[int], None],
    *,
    failed: Mapping[int, FitFailure] = _NO_FAILURES,
    counts: TextCounts | None = None,
) -> list[Outcome]:
    """Return what each pipeline predicts for the fold's records to score; a clone of it is fitted on the fold's other records.

    Args:
        before: Called with the place of each pipeline before it is fitted.
        failed: By place, the pipelines that are not fitted because they failed before.
        counts: Of the records, where other folds need them too.
    """
    features = FoldPredictions(data.records, data.labels, fold, counts or TextCounts(data.records))
    outcomes: list[Outcome] = []
    for place, pipeline in enumerate(pipelines):
        if place not in failed:
            before(place)
        found = failed[place] if place in failed else fitted_or_failed(features, pipeline)
        outcomes.append(found if isinstance(found, FitFailure) else found.predictions)
    return outcomes


def fitted_or_failed(features: SharedFeatures, pipeline: Pipeline) -> Fitted | FitFailure:
    """Return a clone of the pipeline, fitted, or what it raised."""
    try:
        return features.fit(pipeline)
    except Exception as error:  # noqa: BLE001 - whatever a candidate of a team raises
        return FitFailure.of(error)


def outcomes_out_of_fold(
    pipelines: Sequence[Pipeline],
    records: pd.DataFrame,
    labels: Labels,
    folds: Iterable[Fold],
    *,
    before: Before = nothing_before,
    fits: CandidateFits | None = None,
) -> list[Outcome]:
    """Return, for each pipeline, what it predicts for each record when it was fitted on the other folds, or how it failed.

    Args:
        pipelines: Left unfitted; a clone is fitted for each fold.
        records: One row a record.
        labels: One a record; every class is in every fold's part to fit on.
        folds: Positions to fit on and to score; the latter hold every record once.
        before: Called before each fit in this process.
        fits: Where they are fitted; by default in this process.
    """
    all_folds = tuple(folds)
    of_folds = list((fits or FitsHere()).of_folds(pipelines, LabelledRecords(records, labels), all_folds, before))
    order = np.argsort(np.concatenate([score for _, score in all_folds]))
    return [_joined(parts, order) for parts in zip(*of_folds, strict=True)]


def _joined(outcomes: Sequence[Outcome], order: NDArray[np.int64]) -> Outcome:
    parts = []
    for outcome in outcomes:
        if isinstance(outcome, FitFailure):
            return outcome
        parts.append(outcome)
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Predictions(
        labels=np.concatenate([part.labels for part in parts])[order],
        probabilities=np.concatenate(probabilities)[order] if probabilities else None,
        classes=parts[0].classes,
    )

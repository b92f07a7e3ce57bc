"""Cross-validation of all candidates together, so that the features of a fold are computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from passerelle.gate.scores import Labels
from passerelle.training.evaluate import Predictions
from passerelle.training.features import SharedFeatures


def _nothing(_: int) -> AbstractContextManager[None]:
    return nullcontext()


def out_of_fold(
    pipelines: Sequence[Pipeline],
    records: pd.DataFrame,
    labels: Labels,
    folds: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    around: Callable[[int], AbstractContextManager[None]] = _nothing,
) -> list[Predictions]:
    """Return, for each pipeline, what it predicts for each record when it was fitted on the other folds.

    One fold after the other: only its features are in memory.

    Args:
        pipelines: Left unfitted; a clone is fitted for each fold.
        records: One row a record.
        labels: One a record; every class is in every fold's part to fit on.
        folds: Positions to fit on and to score; the latter hold every record once.
        around: Gives the context in which the pipeline at this place is fitted.
    """
    parts: list[list[Predictions]] = [[] for _ in pipelines]
    scored = []
    for fit, score in folds:
        features = SharedFeatures(records.iloc[fit], labels[fit], records.iloc[score])
        for place, pipeline in enumerate(pipelines):
            with around(place):
                parts[place].append(features.fit(pipeline).predictions)
        scored.append(score)
        del features  # before the next fold's are computed
    order = np.argsort(np.concatenate(scored))
    return [_joined(each, order) for each in parts]


def _joined(parts: Sequence[Predictions], order: NDArray[np.int64]) -> Predictions:
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Predictions(
        labels=np.concatenate([part.labels for part in parts])[order],
        probabilities=np.concatenate(probabilities)[order] if probabilities else None,
        classes=parts[0].classes,
    )

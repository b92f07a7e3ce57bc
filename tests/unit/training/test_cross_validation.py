"""All candidates are cross-validated together, and one that fails is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from passerelle.training.candidate import FitFailure
from passerelle.training.cross_validation import outcomes_out_of_fold
from passerelle.training.evaluate import Predictions

RECORDS = pd.DataFrame({"size": np.random.default_rng(0).normal(size=30)})
LABELS = np.where(RECORDS["size"] > 0, "large", "small")
EVERYTHING = np.arange(30)
FOLDS = [(np.setdiff1d(EVERYTHING, EVERYTHING[start::3]), EVERYTHING[start::3]) for start in range(3)]


def pipeline(strength: float) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("classifier", LogisticRegression(C=strength))])


def test_predictions_come_back_in_the_records_order_and_are_those_of_each_candidate_alone() -> None:
    pipelines = [pipeline(0.1), pipeline(10.0)]
    for candidate, found in zip(pipelines, outcomes_out_of_fold(pipelines, RECORDS, LABELS, FOLDS), strict=True):
        assert isinstance(found, Predictions)
        assert found.probabilities is not None
        for fit, score in FOLDS:
            alone = clone(candidate).fit(RECORDS.iloc[fit], LABELS[fit])
            assert np.array_equal(found.probabilities[score], alone.predict_proba(RECORDS.iloc[score]))
            assert found.labels[score].tolist() == alone.predict(RECORDS.iloc[score]).tolist()


class Broken(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    def fit(self, *_: object) -> Broken:
        raise ArithmeticError("no convergence on 'the text of a citizen: l'école'")


def test_a_candidate_that_fails_does_not_keep_the_others_and_is_not_fitted_again() -> None:
    steps: list[tuple[int, int]] = []
    pipelines = [pipeline(1.0), Pipeline([("classifier", Broken())]), pipeline(10.0)]
    found = outcomes_out_of_fold(pipelines, RECORDS, LABELS, FOLDS, before=lambda place, fold: steps.append((place, fold)))
    first, failure, third = found
    assert isinstance(first, Predictions)
    assert isinstance(third, Predictions)
    (alone,) = outcomes_out_of_fold(pipelines[:1], RECORDS, LABELS, FOLDS)
    assert isinstance(alone, Predictions)
    assert np.array_equal(first.labels, alone.labels)
    assert isinstance(failure, FitFailure)
    assert failure.reason.startswith("ArithmeticError: no convergence on … (test_cross_validation.py, line ")
    assert steps == [(0, 1), (1, 1), (2, 1), (0, 2), (2, 2), (0, 3), (2, 3)]

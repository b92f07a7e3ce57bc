"""All candidates are cross-validated together, and one that fails is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from passerelle.training.cross_validation import out_of_fold

RECORDS = pd.DataFrame({"size": np.random.default_rng(0).normal(size=30)})
LABELS = np.where(RECORDS["size"] > 0, "large", "small")
EVERYTHING = np.arange(30)
FOLDS = [(np.setdiff1d(EVERYTHING, EVERYTHING[start::3]), EVERYTHING[start::3]) for start in range(3)]


def pipeline(strength: float) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("classifier", LogisticRegression(C=strength))])


def test_predictions_come_back_in_the_records_order_and_are_those_of_each_candidate_alone() -> None:
    pipelines = [pipeline(0.1), pipeline(10.0)]
    for candidate, found in zip(pipelines, out_of_fold(pipelines, RECORDS, LABELS, FOLDS), strict=True):
        assert found.probabilities is not None
        for fit, score in FOLDS:
            alone = clone(candidate).fit(RECORDS.iloc[fit], LABELS[fit])
            assert np.array_equal(found.probabilities[score], alone.predict_proba(RECORDS.iloc[score]))
            assert found.labels[score].tolist() == alone.predict(RECORDS.iloc[score]).tolist()


class Broken(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    def fit(self, *_: object) -> Broken:
        raise ArithmeticError("no convergence")


def test_the_context_of_a_candidate_sees_its_failure() -> None:
    failed = []

    @contextmanager
    def around(place: int) -> Iterator[None]:
        try:
            yield
        except ArithmeticError:
            failed.append(place)
            raise

    with pytest.raises(ArithmeticError):
        out_of_fold([pipeline(1.0), Pipeline([("classifier", Broken())])], RECORDS, LABELS, FOLDS, around=around)
    assert failed == [1]

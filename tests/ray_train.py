"""What runs in the environment of a Ray node: candidates fitted on a cluster, and in this process, must predict the same.

Imports nothing of the workbench, which that environment lacks.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from passerelle.errors import PasserelleError
from passerelle.stages import train_on_cluster
from passerelle.training.candidate import FitFailure
from passerelle.training.cross_validation import CandidateFits, FitsHere, LabelledRecords, nothing_before, outcomes_out_of_fold
from passerelle.training.evaluate import Predictions
from passerelle.training.features import Fitted
from training.candidates import text_candidates

WORDS = ("merci", "rue", "délai", "réponse", "agent", "poubelle", "sans", "depuis")
ROWS, FOLDS = 90, 3


class Broken(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A candidate of a team's own, which no node can import, and whose fit fails."""

    def fit(self, records: pd.DataFrame, labels: object) -> Broken:
        del records, labels
        raise ArithmeticError("it cannot be fitted")


def data() -> LabelledRecords:
    """Return texts of three classes."""
    rng = np.random.default_rng(0)
    labels = np.array([f"class {row % 3}" for row in range(ROWS)])
    texts = [" ".join([WORDS[row % 3], *rng.choice(WORDS, 5)]) for row in range(ROWS)]
    return LabelledRecords(pd.DataFrame({"text": texts}), labels)


def predictions(fits: CandidateFits) -> list[object]:
    """Return what all candidates predict out of fold, and for all records once they were fitted on all."""
    pipelines, (records, labels) = [candidate.pipeline for candidate in text_candidates()], data()
    places = np.arange(ROWS)
    folds = [(places[places % FOLDS != fold], places[places % FOLDS == fold]) for fold in range(FOLDS)]
    outcomes = outcomes_out_of_fold(pipelines, records, labels, folds, fits=fits)
    crossed = [each for each in outcomes if isinstance(each, Predictions)]
    fitted = fits.of_all(pipelines, LabelledRecords(records, labels), records, nothing_before)
    whole = [each.pipeline.predict(records) for each in fitted if isinstance(each, Fitted)]
    assert len(crossed) == len(whole) == len(pipelines)
    return [*((each.labels, each.probabilities) for each in crossed), *whole]


def failure(fits: CandidateFits) -> str:
    """Return which of two candidates failed, and with what."""
    pipelines = [text_candidates()[0].pipeline, Pipeline([("broken", Broken())])]
    places = np.arange(ROWS)
    (fold,) = fits.of_folds(pipelines, data(), [(places[10:], places[:10])], nothing_before)
    return " ".join(f"{place} {each.reason}" for place, each in enumerate(fold) if isinstance(each, FitFailure))


def main() -> None:
    """Compare the cluster at an address with this process, then a node whose scikit-learn is said to be another."""
    with train_on_cluster.fits_at(sys.argv[1]) as fits:
        for number, (there, here) in enumerate(zip(predictions(fits), predictions(FitsHere()), strict=True)):
            np.testing.assert_equal(there, here, err_msg=f"prediction {number}")
        print("the same predictions")
        print(failure(fits))
        assert isinstance(fits, train_on_cluster.FitsOnCluster)
        fits.here = {**fits.here, "scikit-learn": "0.1"}
        try:
            list(fits.of_all([text_candidates()[0].pipeline], data(), data().records, nothing_before))
        except PasserelleError as error:
            print(error.message)


if __name__ == "__main__":
    main()

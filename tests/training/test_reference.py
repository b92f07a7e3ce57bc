"""A candidate on public French text, against the reference that comes with the data."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.model_selection import StratifiedKFold

from passerelle.training.cross_validation import outcomes_out_of_fold
from passerelle.training.dataset import read_data
from passerelle.training.evaluate import Predictions, figures
from training.candidates import text_candidates

FILE = Path(__file__).resolve().parents[1] / "data" / "service_public_questions.csv"


@pytest.mark.integration
def test_mixed_svm_is_better_than_the_reference() -> None:
    questions = read_data(FILE, text_column="texte", label_column="theme")
    candidate = next(candidate for candidate in text_candidates() if candidate.name == "mixed_svm")
    truth = questions.labels.to_numpy(dtype=str)
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(truth, truth)
    (outcome,) = outcomes_out_of_fold([candidate.pipeline], questions.records, truth, folds)
    assert isinstance(outcome, Predictions)
    found = figures(truth, outcome, prefix="cv", bins=10)
    print(f"accuracy {found['cv_accuracy']:.4f}, macro-F1 {found['cv_macro_f1']:.4f}")  # noqa: T201 - shown with -s
    assert found["cv_accuracy"] >= 0.834 + 0.01
    assert found["cv_calibration_error"] <= 0.05
    assert found["cv_macro_f1"] >= 0.820 + 0.01

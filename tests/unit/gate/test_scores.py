"""Training and the gate give the same figures for the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from passerelle.criteria import Champion
from passerelle.gate.checks import within_limit
from passerelle.gate.paired import paired_difference
from passerelle.gate.scores import Scores
from passerelle.training import evaluate
from passerelle.training.evaluate import Predictions

KNOWN = ("a", "b", "c", "d")
#: The right label of a row, which may be none of the model's, and the probabilities that the model gives.
ROWS = st.lists(
    st.tuples(st.sampled_from((*KNOWN, "unknown")), st.lists(st.floats(0.01, 1), min_size=4, max_size=4)), min_size=1, max_size=30
)


def both(truth: list[str], probabilities: list[list[float]]) -> tuple[dict[str, float], Scores]:
    """Return the figures that training logs and the gate's scores of the same rows."""
    given_ = np.array(probabilities) / np.sum(probabilities, axis=1, keepdims=True)
    predicted = np.array(KNOWN)[given_.argmax(axis=1)]
    scores = Scores(np.array(truth), predicted, given_, KNOWN, 1.0, 1.0)
    logged = evaluate.figures(np.array(truth), Predictions(predicted, given_, KNOWN), prefix="test", bins=10)
    return logged, scores


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_training_and_gate_give_the_same_figures(rows: list[tuple[str, list[float]]]) -> None:
    logged, scores = both([truth for truth, _ in rows], [stated for _, stated in rows])
    judged = {name: value for name, value in scores.figures.items() if name not in {"latency_p95_ms", "size_bytes"}}
    assert {name: logged[f"test_{name}"] for name in judged} == judged
    assert {name for name in logged if "_f1/" not in name} == {f"test_{name}" for name in judged}
    assert all(logged[f"test_f1/{name}"] == value for name, value in scores.class_f1.items() if name in KNOWN)


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_the_figures_are_scikit_learns_over_the_classes_that_have_rows(rows: list[tuple[str, list[float]]]) -> None:
    _, scores = both([truth for truth, _ in rows], [stated for _, stated in rows])
    present = sorted(set(scores.truth.tolist()))
    expected = f1_score(scores.truth, scores.predicted, labels=present, average="macro", zero_division=0)
    assert scores.figures["macro_f1"] == pytest.approx(expected)
    assert np.mean(list(scores.class_f1.values())) == pytest.approx(expected)
    assert scores.figures["accuracy"] == pytest.approx(accuracy_score(scores.truth, scores.predicted))


@settings(deadline=None, max_examples=50)
@given(ROWS, st.sampled_from(["macro_f1", "accuracy"]))
def test_the_difference_from_the_champion_is_that_of_the_figures(rows: list[tuple[str, list[float]]], metric: str) -> None:
    _, scores = both([truth for truth, _ in rows], [stated for _, stated in rows])
    champion, rule = np.full(len(rows), "a"), Champion.model_validate({"metric": metric, "resamples": 100})
    found = paired_difference(scores.truth, champion, scores.predicted, np.arange(len(rows)), rule, level=0.05)
    before = Scores(scores.truth, champion, None, KNOWN, 1.0, 1.0)
    assert found.value == pytest.approx(scores.figures[metric] - before.figures[metric])


def test_a_class_without_rows_does_not_count() -> None:
    sure = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    logged, scores = both(["a", "b"], sure)
    assert logged["test_macro_f1"] == scores.figures["macro_f1"] == 1.0
    assert logged["test_f1/c"] == 0.0


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "keeps"),
    [
        (0.5, 0.5, True, True),
        (0.5, 0.5, False, True),
        (0.4, 0.5, True, False),
        (0.6, 0.5, False, False),
        (float("nan"), 0.5, True, False),
        (float("nan"), 0.5, False, False),
        (float("inf"), 0.5, True, True),
        (float("-inf"), 0.5, True, False),
    ],
)
def test_a_figure_at_its_limit_keeps_to_it_and_one_that_is_no_number_does_not(
    value: float, limit: float, at_least: bool, keeps: bool
) -> None:
    assert within_limit(value, limit, at_least=at_least) is keeps

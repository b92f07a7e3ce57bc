"""The one function from a row to an answer."""

from __future__ import annotations

import pytest

from passerelle.model.answer import ScoredRow, answer_of, predict_with

LABELS = ("a", "b", "c", "d")


def test_the_most_probable_classes_come_first() -> None:
    answer = answer_of(ScoredRow(2, [0.1, 0.2, 0.4, 0.3]), LABELS, review_threshold=0.5)
    assert answer == ("c", 0.4, [("c", 0.4), ("d", 0.3), ("b", 0.2)], True)
    assert not answer_of(ScoredRow(2, [0.1, 0.2, 0.4, 0.3]), LABELS, review_threshold=0.4).review


def test_the_label_comes_first_in_a_tie_too() -> None:
    assert answer_of(ScoredRow(3, [0.4, 0.1, 0.1, 0.4]), LABELS).top[:2] == [("d", 0.4), ("a", 0.4)]


def test_a_model_without_probabilities_gives_a_label_alone() -> None:
    assert answer_of(ScoredRow(1, None), LABELS, review_threshold=1.0) == ("b", None, [], False)


@pytest.mark.parametrize(("rows", "said"), [([ScoredRow(0, None)], None), ([ScoredRow(0, [1.0, 0.0])], [[1.0, 0.0]])])
def test_golden_predictions_keep_the_types_of_the_labels(rows: list[ScoredRow], said: object) -> None:
    assert predict_with(lambda _: rows, (1, 2))([{}]) == ([1], said)

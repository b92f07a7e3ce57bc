"""Which records become golden inputs besides the usual ones."""

from __future__ import annotations

import numpy as np

from passerelle.model.boundaries import telling_places

CLASSES = ("a", "b", "c")


def test_the_smallest_margin_of_each_pair_comes_first_and_each_class_is_there() -> None:
    rows = np.array([[0.5, 0.4, 0.1], [0.45, 0.44, 0.11], [0.1, 0.5, 0.4], [0.9, 0.05, 0.05], [0.05, 0.05, 0.9], [0.5, 0.5, 0.0]])
    labels = ["a", "a", "b", "a", "c", "a"]
    assert telling_places(labels, CLASSES, rows, most=8) == [1, 2, 4]
    assert telling_places(labels, CLASSES, rows, most=1) == [1, 2, 4], "one of each class, however few are asked for"
    assert telling_places(labels, CLASSES, rows, most=8) == telling_places(labels, CLASSES, rows.copy(), most=8)


def test_without_probabilities_each_class_is_there() -> None:
    assert telling_places(["b", "a", "a"], CLASSES, None, most=8) == [0, 1]
    assert telling_places([1, 0, True], (0, 1), None, most=8) == [0, 1]
    assert telling_places([], CLASSES, np.empty((0, 3)), most=8) == []
    assert telling_places(["a"], ("a",), np.ones((1, 1)), most=8) == [0]
    assert telling_places(["a", "b"], CLASSES, np.ones((2, 2)), most=8) == [0, 1], "probabilities of something else"

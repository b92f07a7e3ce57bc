"""The figures of regressions, of several labels and of several outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from passerelle.errors import DataError
from passerelle.gate.class_names import ClassNames
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.gate.task_scores import TaskScores, scores_of_task


def scored(task: str, table: dict[str, list[Any]], values: list[Any], *, typed: bool = False, classes: tuple[Any, ...] = ()) -> TaskScores:
    rows = LabelledRows(pd.DataFrame(table), tuple(table), "rows.csv", typed)
    return scores_of_task(task, rows, rows.answers, values, ClassNames.of(classes, {}))


def test_a_regression_has_its_errors() -> None:
    found = scored("regression", {"price": ["1", "2,5", "3"]}, [1.0, [2.0], {"price": 4.0}])
    assert found.figures == pytest.approx(
        {"mae": 0.5, "rmse": np.sqrt(1.25 / 3), "r2": 1 - 1.25 / np.sum((np.array([1, 2.5, 3]) - 6.5 / 3) ** 2)}
    )
    assert float(found.of_sums(found.sums[[0, 0, 2]].sum(axis=0)[None, :])[0]) == pytest.approx(1 / 3)
    assert "r2" not in scored("regression", {"price": ["1", "1"]}, [1.0, 2.0]).figures
    with pytest.raises(DataError, match="does not hold a number in each row"):
        scored("regression", {"price": ["1", "dear"]}, [1.0, 2.0])
    with pytest.raises(ValueError, match="not a number"):
        scored("regression", {"price": ["1"]}, [float("nan")])


def test_several_labels_come_as_lists_or_as_a_column_each() -> None:
    lists = scored("multilabel", {"topics": [["a", "b"], [], ["b"]]}, [["a"], [], ["b"]], typed=True, classes=("a", "b"))
    columns = scored("multilabel", {"a": ["1", "0", "0"], "b": ["1", "0", "1"]}, [["a"], [], ["b"]], classes=("a", "b"))
    assert lists.figures == columns.figures == pytest.approx({"macro_f1": (1 + 2 / 3) / 2, "exact_match": 2 / 3})
    with pytest.raises(DataError, match="does not hold lists of labels"):
        scored("multilabel", {"topics": ["a b"]}, [["a"]])
    with pytest.raises(DataError, match="something other than 0 and 1"):
        scored("multilabel", {"a": ["2"], "b": ["0"]}, [["a"]])


def test_several_outputs_have_figures_each_and_their_means() -> None:
    values = [{"price": 1.0, "kind": "flat"}, {"price": 4.0, "kind": "flat"}]
    found = scored("multioutput", {"price": ["1", "2"], "kind": ["flat", "house"]}, values)
    assert found.figures["mae/price"] == found.figures["mae"] == 1.0
    assert found.figures["accuracy/kind"] == found.figures["accuracy"] == 0.5
    assert found.losses is not None
    assert found.losses.tolist() == [0.0, (2 / 0.5 + 1) / 2]
    with pytest.raises(DataError, match=r"'rooms' of rows\.csv is no output of the model, which gives 'price', 'kind'"):
        scored("multioutput", {"price": ["1"], "rooms": ["2"]}, values[:1])

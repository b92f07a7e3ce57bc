"""What estimators do with a record is recognised, and answered in one shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from passerelle.model.host.estimator import Estimator
from passerelle.model.host.outputs import OutputNames, task_of_values

X = np.random.default_rng(0).normal(size=(40, 2))
ONE = (X[:, 0] > 0).astype(int)
BOTH = np.column_stack([ONE, (X[:, 1] > 0).astype(int)])
WORDS = np.array(["no", "yes"])[ONE]


def estimator(model: Any, outputs: list[dict[str, object]] | None = None) -> Estimator:
    return Estimator(model, OutputNames(outputs))


@pytest.mark.parametrize(
    ("model", "y", "task", "classes"),
    [
        (LogisticRegression(), ONE, "classification", [0, 1]),
        (LogisticRegression(), ONE == 1, "classification", [False, True]),
        (make_pipeline(StandardScaler(), LogisticRegression()), WORDS, "classification", ["no", "yes"]),
        (LinearSVC(), WORDS, "classification", ["no", "yes"]),
        (Ridge(), X[:, 0], "regression", None),
        (LinearRegression(), X, "multioutput", None),
        (KMeans(2, n_init=1), None, "clustering", None),
        (IsolationForest(n_estimators=2), None, "other", None),
        (OneVsRestClassifier(LogisticRegression()), BOTH, "multilabel", [0, 1]),
        (MultiOutputClassifier(LogisticRegression()), BOTH, "multilabel", [0, 1]),
        (KNeighborsClassifier(), BOTH, "multilabel", [0, 1]),
        (DecisionTreeClassifier(), BOTH, "multilabel", [0, 1]),
        (make_pipeline(StandardScaler(), MLPClassifier(max_iter=20)), BOTH, "multilabel", [0, 1]),
        (DecisionTreeClassifier(), BOTH + 3, "multioutput", None),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tasks_are_recognised_and_answered(model: Any, y: Any, task: str, classes: list[object] | None) -> None:
    found = estimator(model.fit(X, y))
    values, probabilities = found.predict(X[:3], {})
    assert (found.task, found.classes) == (task, classes)
    assert len(values) == 3
    if task == "classification":
        assert values == model.predict(X[:3]).tolist()
    if task == "multilabel":
        assert values == [[place for place in (0, 1) if row[place]] for row in model.predict(X[:3])]
        assert probabilities is not None
        assert all(len(row) == 2 for row in probabilities)
    if task == "multioutput":
        assert [list(value.values()) for value in values if isinstance(value, dict)] == model.predict(X[:3]).tolist()


def test_outputs_and_labels_have_the_names_of_the_schema() -> None:
    schema: list[dict[str, object]] = [{"name": "height", "type": "double"}, {"name": "width", "type": "double"}]
    assert [set(each) for each in estimator(LinearRegression().fit(X, X), schema).predict(X[:1], {})[0] if isinstance(each, dict)] == [
        {"height", "width"}
    ]
    several = estimator(MultiOutputClassifier(LogisticRegression()).fit(X, BOTH), schema)
    values, _ = several.predict(np.array([[5.0, 5.0]]), {})
    assert (several.classes, values) == (["height", "width"], [["height", "width"]])


def test_what_cannot_predict_is_refused() -> None:
    with pytest.raises(TypeError, match="TfidfVectorizer cannot predict"):
        estimator(TfidfVectorizer())


@pytest.mark.parametrize(
    ("answer", "rows", "task"),
    [
        (np.array([1.5, float("nan")]), [1.5, {"$number": "NaN"}], "regression"),
        (np.array([[1.5], [2.5]]), [1.5, 2.5], "regression"),
        (pd.DataFrame({"only": ["a", "b"]}), ["a", "b"], "other"),
        (pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}), [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}], "multioutput"),
        (np.array([[1, 2]]), [{"output_0": 1, "output_1": 2}], "multioutput"),
        ({"x": np.array([1, 2])}, [1, 2], "other"),
        ([{"generated": "a"}], [{"generated": "a"}], "multioutput"),
        (["a", "b"], ["a", "b"], "other"),
        (np.zeros((1, 2, 2)), [[[0.0, 0.0], [0.0, 0.0]]], "other"),
    ],
)
def test_answers_of_any_library_have_one_shape(answer: object, rows: list[object], task: str) -> None:
    found = OutputNames(None).rows(answer)
    assert found == rows
    assert task_of_values(found) == task

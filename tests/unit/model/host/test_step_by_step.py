"""A pipeline, taken step by step, gives the probabilities that the pipeline itself gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from passerelle.model.host.estimator import Estimator
from passerelle.model.host.outputs import OutputNames
from passerelle.model.host.step_by_step import StepByStep, step_by_step

TABLE = pd.DataFrame({
    "age": [20.0, 30.0, np.nan, 60.0] * 3, "borough": ["11e", "12e", None, "11e"] * 3, "text": ["a bb", "cc", "bb", "dd a"] * 3,
    "n": range(12),
})  # fmt: skip
LABELS = ["bad", "good", "other", "bad"] * 3
NUMBERS = make_pipeline(SimpleImputer(), StandardScaler())
CASES = {
    "dense": make_column_transformer((OneHotEncoder(sparse_output=False), ["borough"]), (NUMBERS, ["age", "n"])),
    "sparse": make_column_transformer((TfidfVectorizer(), "text"), (OneHotEncoder(), ["borough"]), sparse_threshold=1.0),
    "the rest": make_column_transformer((OneHotEncoder(), ["borough"]), ("drop", ["text"]), (NUMBERS, ["age"]), remainder="passthrough"),
    "by place": make_column_transformer((OneHotEncoder(), [1]), (NUMBERS, slice(0, 1))),
    "weighted": make_column_transformer((OneHotEncoder(), ["borough"]), (NUMBERS, ["age"])).set_params(
        transformer_weights={"pipeline": 2.0}
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_gives_what_the_pipeline_gives(name: str) -> None:
    pipeline = make_pipeline(CASES[name], "passthrough", LogisticRegression()).fit(TABLE, LABELS)
    estimator = Estimator(pipeline, OutputNames(None))
    labels, rows = estimator.quick(TABLE)
    assert labels == pipeline.predict(TABLE).tolist()
    assert rows == pipeline.predict_proba(TABLE).tolist()


def test_the_best_of_a_search_is_taken_and_what_is_no_pipeline_stays() -> None:
    search = GridSearchCV(make_pipeline(CASES["dense"], LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2)
    search.fit(TABLE, LABELS)
    quick = step_by_step(search)
    assert isinstance(quick, StepByStep)
    assert quick.predict_proba(TABLE).tolist() == search.predict_proba(TABLE).tolist()
    alone = LogisticRegression().fit(TABLE[["n"]], LABELS)
    assert step_by_step(alone) is alone


def test_a_step_that_fails_leaves_it_to_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = make_pipeline(CASES["dense"], LogisticRegression()).fit(TABLE, LABELS)
    estimator = Estimator(pipeline, OutputNames(None))

    def failing(*_: Any) -> None:
        raise TypeError

    monkeypatch.setattr(StepByStep, "predict_proba", failing)
    assert estimator.quick(TABLE)[1] == pipeline.predict_proba(TABLE).tolist()

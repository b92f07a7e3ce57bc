"""Candidates that share features learn and answer as they do alone, and a fold's features are computed once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, QuantileTransformer, StandardScaler

from passerelle.training.features import SharedFeatures
from training.candidates import tabular_candidates, text_candidates

WORDS = {"voirie": "rue trottoir trou chaussée", "compte": "mot passe accès connexion", "merci": "bravo merci accueil équipe"}
LABELS = np.array(list(WORDS) * 12)


def texts() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame({"text": [" ".join(random.choice(f"{WORDS[label]} le la de été demande".split(), 8)) for label in LABELS]})


def measurements() -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame({"size": random.normal(size=36), "age": random.normal(size=36), "colour": random.choice(["red", "blue"], 36)})


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(np.array_equal(np.asarray(one), np.asarray(other)))


@pytest.mark.parametrize(
    ("candidates", "records"),
    [
        pytest.param(text_candidates(), texts(), id="text"),
        pytest.param(tabular_candidates(["size", "age"], ["colour"])[:1] * 2, measurements(), id="tabular"),
    ],
)
def test_a_candidate_is_fitted_as_it_is_alone(candidates: Any, records: pd.DataFrame) -> None:
    features = SharedFeatures(records.iloc[:24], LABELS[:24], records.iloc[24:])
    for candidate in candidates:
        alone = clone(candidate.pipeline).fit(records.iloc[:24], LABELS[:24])
        fitted = features.fit(candidate.pipeline)
        assert "StandIn" not in repr(vars(fitted.pipeline.steps[0][1]))
        assert repr(fitted.pipeline.get_params()) == repr(alone.get_params())
        for name, transformer, columns in alone.named_steps["features"].transformers_:
            mine = next(each for each in fitted.pipeline.named_steps["features"].transformers_ if each[0] == name)
            assert columns == mine[2]
            assert joblib.hash(mine[1]) == joblib.hash(transformer)
        assert fitted.predictions.labels.tolist() == alone.predict(records.iloc[24:]).tolist()
        assert same(fitted.predictions.probabilities, alone.predict_proba(records.iloc[24:]))
        assert same(fitted.pipeline.predict_proba(records), alone.predict_proba(records))


def test_words_and_characters_are_fitted_once_for_all_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[tuple[str, str]] = Counter()

    def counting(name: str) -> Callable[..., Any]:
        original = getattr(TfidfVectorizer, name)

        def call(self: Any, *arguments: Any) -> Any:
            calls[self.analyzer, name] += 1
            return original(self, *arguments)

        return call

    for name in ("fit_transform", "transform"):
        monkeypatch.setattr(TfidfVectorizer, name, counting(name))
    records = texts()
    features = SharedFeatures(records.iloc[:24], LABELS[:24], records.iloc[24:])
    for candidate in text_candidates():
        features.fit(candidate.pipeline)
    assert len(text_candidates()) == 5
    assert calls == dict.fromkeys([(analyzer, name) for analyzer in ("word", "char_wb") for name in ("fit_transform", "transform")], 1)


class Slow(MaxAbsScaler):  # type: ignore[misc]  # scikit-learn has no types
    def fit_transform(self, *arguments: Any) -> Any:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return super().fit_transform(*arguments)


def test_fit_seconds_count_features_that_were_there_already() -> None:
    records = measurements()[["size", "age"]]
    pipeline = Pipeline([("features", Slow()), ("classifier", LogisticRegression())])
    features = SharedFeatures(records, LABELS, records)
    assert features.fit(pipeline).fit_seconds >= 0.05
    assert features.fit(pipeline).fit_seconds >= 0.05


def test_a_second_step_that_changes_its_input_does_not_change_that_of_the_next_candidate() -> None:
    records = measurements()[["size", "age"]]

    def pipeline(first: Any) -> Pipeline:
        return Pipeline([("features", first), ("scale", MaxAbsScaler(copy=False)), ("classifier", LogisticRegression())])

    for first in (StandardScaler(), ColumnTransformer([("one", StandardScaler(), ["size", "age"])])):
        alone = pipeline(clone(first)).fit(records, LABELS)
        features = SharedFeatures(records, LABELS, records)
        answers = [features.fit(pipeline(first)).predictions.probabilities for _ in range(3)]
        assert all(same(each, alone.predict_proba(records)) for each in answers)


@pytest.mark.parametrize(
    "pipeline",
    [
        pytest.param(Pipeline([("f", FunctionTransformer(lambda table: table / 2)), ("c", LogisticRegression())]), id="lambda"),
        pytest.param(Pipeline([("f", QuantileTransformer(n_quantiles=9)), ("c", LogisticRegression())]), id="no-seed"),
        pytest.param(Pipeline([("f", StandardScaler()), ("c", LogisticRegression())]).set_output(transform="pandas"), id="pandas"),
        pytest.param(Pipeline([("c", LogisticRegression())]), id="one-step"),
        pytest.param(GridSearchCV(Pipeline([("f", StandardScaler()), ("c", LogisticRegression())]), {"c__C": [1, 2]}, cv=2), id="search"),
        pytest.param(
            Pipeline(
                [("f", ColumnTransformer([("s", StandardScaler(), ["size"]), ("p", "passthrough", ["age"])])), ("c", LogisticRegression())]
            ),
            id="passthrough",
        ),
    ],
)
def test_what_cannot_be_shared_is_fitted_as_before(pipeline: Any) -> None:
    records = measurements()[["size", "age"]]
    alone = clone(pipeline).fit(records, LABELS)
    features = SharedFeatures(records, LABELS, records)
    for _ in range(2):
        fitted = features.fit(pipeline)
        assert same(fitted.predictions.probabilities, alone.predict_proba(records))
        assert fitted.predictions.labels.tolist() == alone.predict(records).tolist()
        assert same(fitted.pipeline.predict_proba(records), alone.predict_proba(records))

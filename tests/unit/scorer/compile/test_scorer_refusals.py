"""What cannot be computed exactly is not compiled, and the verdict names the part and the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, Normalizer, StandardScaler

from passerelle.errors import DataError
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.compile.refusal import NotCompilable
from passerelle.scorer.scorer import CompiledScorer
from tests.unit.scorer.scorer_cases import corpus, on_text


class OwnVectorizer(TfidfVectorizer):  # type: ignore[misc]
    """A subclass, which may have changed anything."""


def own_function(text: str) -> Any:
    return text.split()


def lower(text: str) -> str:
    return text.lower()


def _dense(*vectorizers: Any, after: Any) -> list[tuple[str, Any]]:
    parts = [(f"v{i}", vectorizer, "text") for i, vectorizer in enumerate(vectorizers)]
    return [("columns", ColumnTransformer(parts, sparse_threshold=0)), ("s0", after)]


def _with_length() -> list[tuple[str, Any]]:
    return [("columns", ColumnTransformer([("v0", TfidfVectorizer(), "text"), ("length", "passthrough", ["length"])]))]


def _rest_of_columns() -> list[tuple[str, Any]]:
    drop = [("v0", TfidfVectorizer(), "text"), ("title", "drop", ["title"])]
    return [("columns", ColumnTransformer(drop, remainder="passthrough"))]


FEATURES: dict[str, tuple[Callable[[], list[tuple[str, Any]]], str, str]] = {
    "tokenizer": (
        lambda: on_text(TfidfVectorizer(tokenizer=own_function, token_pattern=None)),
        "columns.v0 (Tfidf",
        "tokenizer is a function",
    ),
    "preprocessor": (lambda: on_text(TfidfVectorizer(preprocessor=lower)), "columns.v0", "preprocessor is a function"),
    "analyzer": (lambda: on_text(CountVectorizer(analyzer=own_function)), "columns.v0 (Count", "analyzer is a function"),
    "accents": (lambda: on_text(TfidfVectorizer(strip_accents=lower)), "columns.v0", "strip_accents is a function"),
    "subclass": (lambda: on_text(TfidfVectorizer(), OwnVectorizer()), "columns.v1 (OwnVectorizer)", "not compiled"),
    "single precision": (lambda: on_text(TfidfVectorizer(dtype=np.float32)), "columns.v0", "float32"),
    "small counts": (lambda: on_text(CountVectorizer(dtype=np.int8)), "columns.v0", "int8"),
    "single hashes": (lambda: on_text(HashingVectorizer(n_features=64, dtype=np.float32)), "columns.v0", "float32"),
    "function": (lambda: on_text(TfidfVectorizer(), after=[FunctionTransformer()]), "s0 (FunctionTransformer)", "not compiled"),
    "svd": (lambda: on_text(TfidfVectorizer(), after=[TruncatedSVD(3)]), "s0 (TruncatedSVD)", "not compiled"),
    "function first": (lambda: [("f", FunctionTransformer(lambda t: t["text"])), ("v", TfidfVectorizer())], "f (Function", "not compiled"),
    "numbers": (_with_length, "columns (ColumnTransformer)", "pass through"),
    "rest": (_rest_of_columns, "columns (ColumnTransformer)", "pass through"),
    "mean": (lambda: _dense(TfidfVectorizer(), after=StandardScaler()), "s0 (StandardScaler)", "with_mean"),
    "clip": (lambda: on_text(TfidfVectorizer(), after=[MaxAbsScaler(clip=True)]), "s0 (MaxAbsScaler)", "clip"),
    "largest": (lambda: on_text(TfidfVectorizer(), after=[Normalizer("max")]), "s0 (Normalizer)", "max"),
    "logarithm late": (lambda: on_text(TfidfVectorizer(), after=[TfidfTransformer(sublinear_tf=True)]), "s0 (Tfidf", "no longer counts"),
    "logarithm twice": (
        lambda: on_text(CountVectorizer(), after=[TfidfTransformer(use_idf=False, norm=None, sublinear_tf=True) for _ in range(2)]),
        "s1 (TfidfTransformer)",
        "no longer counts",
    ),
    "norm of a branch": (
        lambda: on_text(
            TfidfVectorizer(), Pipeline([("u", FeatureUnion([("a", TfidfVectorizer()), ("b", CountVectorizer())])), ("n", Normalizer())])
        ),
        "columns (ColumnTransformer)",
        "inside one branch",
    ),
}


def records_and_labels() -> tuple[Any, list[str]]:
    records, labels = corpus(4)
    return records.assign(length=[float(len(text)) for text in records["text"]]), labels


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FEATURES)
def test_features_that_are_not_compiled(name: str) -> None:
    make, part, why = FEATURES[name]
    verdict = verdict_of(make(), LogisticRegression())
    assert part in verdict.part
    assert why in verdict.why


def verdict_of(features: list[tuple[str, Any]], classifier: Any) -> NotCompilable:
    records, labels = records_and_labels()
    verdict = compile_pipeline(Pipeline([*features, ("classifier", classifier)]).fit(records, labels))
    assert isinstance(verdict, NotCompilable)
    return verdict


@pytest.mark.parametrize(
    ("classifier", "part", "why"),
    [
        (RandomForestClassifier(5), "classifier (RandomForestClassifier)", "not compiled"),
        (BernoulliNB(), "classifier (BernoulliNB)", "not compiled"),
        (CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2), "classifier (Calibrated", "temperature"),
        (CalibratedClassifierCV(RandomForestClassifier(5), cv=2), "estimator (RandomForestClassifier)", "not compiled"),
        (OneVsRestClassifier(BernoulliNB()), "estimators_[0]", "not compiled"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_classifiers_that_are_not_compiled(classifier: Any, part: str, why: str) -> None:
    verdict = verdict_of(on_text(TfidfVectorizer()), classifier)
    assert part in verdict.part
    assert why in verdict.why


def test_a_column_must_be_selected_by_one_name() -> None:
    records, labels = corpus(4)
    bare = Pipeline([("words", TfidfVectorizer()), ("classifier", LogisticRegression())]).fit(records["text"], labels)
    verdict = compile_pipeline(bare)
    assert isinstance(verdict, NotCompilable)
    assert "ColumnTransformer" in verdict.why


def test_a_column_in_a_list_is_a_table_and_no_text() -> None:
    records, _ = corpus(2)
    # A vectorizer that is given a table reads the names of its columns: one row is all that it can be fitted on.
    columns = ColumnTransformer([("v0", CountVectorizer(), ["text"])]).fit(records.head(1))
    classifier = LogisticRegression().fit(np.eye(2)[:, :1], ["a", "b"])
    verdict = compile_pipeline(Pipeline([("columns", columns), ("classifier", classifier)]))
    assert isinstance(verdict, NotCompilable)
    assert verdict.part == "columns.v0 (CountVectorizer)"
    assert "one name" in verdict.why


def test_columns_of_numbers_are_said_to_be_no_text() -> None:
    columns = ColumnTransformer([("numbers", StandardScaler(), ["height", "weight"])])
    table = pd.DataFrame({"height": [1.0, 2.0], "weight": [3.0, 5.0]})
    verdict = compile_pipeline(Pipeline([("columns", columns), ("classifier", LogisticRegression())]).fit(table, ["a", "b"]))
    assert verdict == NotCompilable("columns.numbers (StandardScaler)", "only what reads a text is compiled")


@pytest.mark.parametrize(
    "pipeline",
    [
        LogisticRegression(),
        Pipeline([("classifier", LogisticRegression())]),
        Pipeline([*on_text(TfidfVectorizer()), ("classifier", LogisticRegression())]),
        Pipeline([("words", TfidfVectorizer()), ("classifier", LogisticRegression())]),
        "no pipeline",
    ],
    ids=repr,
)
def test_what_is_not_fitted_or_no_pipeline(pipeline: Any) -> None:
    assert isinstance(compile_pipeline(pipeline, text_column="text"), NotCompilable)


def test_a_bare_vectorizer_with_a_named_field() -> None:
    records, labels = corpus(2)
    union = FeatureUnion([("words", TfidfVectorizer()), ("counts", CountVectorizer(analyzer="char_wb", ngram_range=(2, 3)))])
    pipeline = Pipeline([("union", union), ("classifier", LogisticRegression())]).fit(records["text"], labels)
    scorer = compile_pipeline(pipeline, text_column="comment")
    assert isinstance(scorer, CompiledScorer)
    assert scorer.columns == ("comment",)
    asked = [{"comment": text} for text in records["title"]]
    assert np.abs(scorer.answers(asked)[1] - pipeline.predict_proba(records["title"])).max() <= 1e-9
    assert scorer.labels(asked) == pipeline.predict(records["title"]).tolist()


@pytest.mark.parametrize("record", [{}, {"text": None}, {"text": 3}, {"text": b"bytes"}, {"other": "text"}])
def test_a_record_without_text(record: dict[str, object]) -> None:
    records, labels = corpus(2)
    scorer = compile_pipeline(Pipeline([*on_text(TfidfVectorizer()), ("classifier", LogisticRegression())]).fit(records, labels))
    assert isinstance(scorer, CompiledScorer)
    with pytest.raises(DataError, match="text"):
        scorer.one(record)

"""What is read of each fitted step and classifier, where its parts differ from each other and nothing after it cancels it out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from passerelle.scorer.compile.classifiers import checked, linear_plane
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.compile.refusal import NotCompilable, Refusal
from passerelle.scorer.scorer import CompiledScorer
from tests.unit.scorer.scorer_cases import frame, on_text

#: Classes of different sizes, and words of different frequencies.
TEXTS = ["aa bb", "aa aa aa", "bb cc cc", "aa", "cc bb aa", "dd dd", "dd", "aa dd"]
LABELS = ["x", "x", "x", "x", "y", "y", "z", "z"]
UNKNOWN = {"text": "zz"}


def scorer_of(pipeline: Pipeline) -> CompiledScorer:
    scorer = compile_pipeline(pipeline.fit(frame(TEXTS), LABELS))
    assert isinstance(scorer, CompiledScorer), scorer
    return scorer


@pytest.mark.parametrize(
    "after",
    [
        [MaxAbsScaler()],
        [StandardScaler(with_mean=False)],
        [StandardScaler(with_mean=False, with_std=False)],
        [TfidfTransformer(norm=None)],
        [],
    ],
    ids=str,
)
def test_a_scaler_that_nothing_cancels_out(after: list[Any]) -> None:
    pipeline = Pipeline([*on_text(CountVectorizer(), after=after), ("classifier", LogisticRegression(C=10))])
    rows = scorer_of(pipeline).answers([{"text": text} for text in TEXTS])[1]
    assert rows == pytest.approx(pipeline.predict_proba(frame(TEXTS)), abs=1e-12)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("vectorizer", [CountVectorizer(), TfidfVectorizer(), HashingVectorizer(n_features=16, norm=None)], ids=repr)
def test_a_word_that_occurs_twice_counts_twice_or_once(vectorizer: Any, binary: bool) -> None:
    pipeline = Pipeline([*on_text(vectorizer.set_params(binary=binary)), ("classifier", LogisticRegression(C=10))])
    repeated = [*TEXTS, "aa aa bb", "aa bb"]
    rows = scorer_of(pipeline).answers([{"text": text} for text in repeated])[1]
    assert rows == pytest.approx(pipeline.predict_proba(frame(repeated)), abs=1e-12)
    assert (rows[-1].tolist() == rows[-2].tolist()) is binary


def test_what_is_dropped_is_left_out_and_each_other_branch_has_its_own_weight() -> None:
    union = FeatureUnion([("a", CountVectorizer()), ("b", "drop"), ("c", TfidfVectorizer())], transformer_weights={"a": 0.5, "c": 3.0})
    columns = ColumnTransformer(
        [("u", union, "text"), ("d", "drop", "title"), ("v", CountVectorizer(ngram_range=(2, 2)), "text")],
        transformer_weights={"u": 2.0, "v": 0.25},
    )
    pipeline = Pipeline([("columns", columns), ("classifier", LogisticRegression(C=10))])
    rows = scorer_of(pipeline).answers([{"text": text} for text in TEXTS])[1]
    assert rows == pytest.approx(pipeline.predict_proba(frame(TEXTS)), abs=1e-12)


@pytest.mark.parametrize("classifier", [MultinomialNB(), MultinomialNB(class_prior=[0.7, 0.2, 0.1]), ComplementNB()], ids=repr)
def test_a_prior_counts_only_where_the_classifier_counts_it(classifier: Any) -> None:
    pipeline = Pipeline([*on_text(CountVectorizer()), ("classifier", classifier)])
    records = [UNKNOWN, *({"text": text} for text in TEXTS)]
    rows = scorer_of(pipeline).answers(records)[1]
    assert np.ptp(classifier.class_log_prior_) > 0.5, "the case is the one that is meant"
    assert rows == pytest.approx(pipeline.predict_proba(frame([str(each["text"]) for each in records])), abs=1e-12)


def test_a_classifier_that_is_not_fitted_is_told_from_one_that_is_not_known() -> None:
    for classifier, why in ((LogisticRegression(), "not fitted"), (BernoulliNB(), "this classifier is not compiled")):
        with pytest.raises(Refusal) as refusal:
            linear_plane(classifier, "part")
        assert refusal.value.verdict == NotCompilable("part", why)


@pytest.mark.parametrize(
    ("coefficients", "intercepts", "why"),
    [
        (np.zeros((2, 1), dtype=np.float32), np.zeros(1), "coefficients in float32 compute in another precision"),
        (np.zeros((2, 1)), np.zeros(1, dtype=np.float32), "coefficients in float32 compute in another precision"),
        (np.array([[0.0], [np.inf]]), np.zeros(1), "coefficients that are not finite"),
        (np.zeros((2, 1)), np.array([np.nan]), "coefficients that are not finite"),
    ],
)
def test_coefficients_of_another_kind_are_refused(coefficients: Any, intercepts: Any, why: str) -> None:
    with pytest.raises(Refusal) as refusal:
        checked(coefficients, intercepts, "part")
    assert refusal.value.verdict == NotCompilable("part", why)


def test_one_intercept_serves_all_scores() -> None:
    coefficients, intercepts = checked(np.ones((2, 3)), 0.5, "part")
    assert (coefficients.shape, intercepts.tolist()) == ((2, 3), [0.5, 0.5, 0.5])


def test_an_idf_that_was_never_fitted_is_refused() -> None:
    counts = CountVectorizer().fit(TEXTS)
    classifier = LogisticRegression().fit(counts.transform(TEXTS), LABELS)
    for weights, expected in ((TfidfTransformer(), "not fitted"), (TfidfTransformer(use_idf=False), None)):
        pipeline = Pipeline([("counts", counts), ("weights", weights), ("classifier", classifier)])
        verdict = compile_pipeline(pipeline, text_column="text")
        assert (verdict.why if isinstance(verdict, NotCompilable) else None) == expected


def test_an_idf_of_another_precision_is_refused() -> None:
    pipeline = Pipeline([*on_text(TfidfVectorizer()), ("classifier", LogisticRegression())]).fit(frame(TEXTS), LABELS)
    weights = pipeline.named_steps["columns"].named_transformers_["v0"]._tfidf
    weights.idf_ = weights.idf_.astype(np.float32)
    assert compile_pipeline(pipeline) == NotCompilable("columns.v0 (TfidfVectorizer)", "idf in float32")


def test_coefficients_that_do_not_fit_the_columns_are_counted() -> None:
    counts = CountVectorizer().fit(TEXTS)
    for columns, given in ((2, "2 coefficients do not fit 4 columns"), (5, "5 coefficients do not fit 4 columns")):
        classifier = RidgeClassifier().fit(np.eye(6)[:, :columns], ["x", "y", "z"] * 2)
        verdict = compile_pipeline(Pipeline([("counts", counts), ("classifier", classifier)]), text_column="text")
        assert verdict == NotCompilable("classifier (RidgeClassifier)", given)

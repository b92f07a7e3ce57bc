"""The compiled scorer gives scikit-learn's own probabilities and labels, whatever the text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import MANY, CompiledScorer
from tests.unit.scorer.scorer_cases import CLASSIFIERS, FEATURES, corpus, fitted, frame, frozen, texts

#: There are seventy kinds, and scikit-learn takes a tenth of a second for an example.
quick = settings(max_examples=settings().max_examples // 8)


def compiled(pipeline: Pipeline) -> CompiledScorer:
    scorer = compile_pipeline(pipeline)
    assert isinstance(scorer, CompiledScorer), scorer
    return scorer


def expected(pipeline: Pipeline, table: Any) -> np.ndarray[Any, Any]:
    if hasattr(pipeline, "predict_proba"):
        return np.asarray(pipeline.predict_proba(table))
    scores = pipeline.decision_function(table)
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else np.asarray(scores)


def hold_equal(pipeline: Pipeline, batch: list[tuple[str, str]]) -> float:
    table = frame([text for text, _ in batch], [title for _, title in batch])
    records = [{"text": text, "title": title} for text, title in batch]
    scorer = compiled(pipeline)
    want, rows = expected(pipeline, table), scorer.answers(records)[1]
    difference = float(np.abs(want - rows).max())
    assert difference <= 1e-9
    assert scorer.labels(records) == pipeline.predict(table).tolist()
    for record, row in zip(records, rows, strict=True):
        assert np.abs(scorer.one(record) - row).max() <= 1e-12
        answer = scorer.answer(record)
        assert scorer.classes[answer.label_index] == scorer.labels([record])[0]
    for one, many in zip(scorer.answers_with_shares(records), scorer.answers_with_shares(records * MANY), strict=True):
        assert np.array_equal(np.concatenate([one] * MANY), many), "the same to the bit, however many are scored together"
    assert scorer.has_probabilities is hasattr(pipeline, "predict_proba")
    assert scorer.classes == tuple(pipeline.classes_.tolist())
    return difference


@pytest.mark.parametrize("features", FEATURES)
@quick
@given(st.data())
def test_every_kind_of_features(features: str, data: st.DataObject) -> None:
    text = texts(surrogates="hashed" not in features)  # scikit-learn cannot hash a lone surrogate
    hold_equal(fitted(features, "logistic"), data.draw(st.lists(st.tuples(text, text), min_size=1, max_size=4)))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
@quick
@given(batch=st.lists(st.tuples(texts(), texts()), min_size=1, max_size=4))
def test_every_kind_of_classifier(classifier: str, classes: int, batch: list[tuple[str, str]]) -> None:
    hold_equal(fitted("demo", classifier, classes), batch)


@pytest.mark.parametrize("features", FEATURES)
def test_texts_of_known_words(features: str) -> None:
    records, _ = corpus(4)
    hold_equal(fitted(features, "logistic"), list(zip(records["title"][:60], records["text"][:60], strict=True)))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_texts_of_the_corpus(classifier: str) -> None:
    records, _ = corpus(4)
    for features in ("demo", "counts"):
        if "bayes" not in classifier:
            hold_equal(fitted(features, classifier), list(zip(records["text"][:40], records["title"][:40], strict=True)))


def test_a_model_that_was_fitted_before_it_was_calibrated() -> None:
    hold_equal(frozen(), [("carte d'identité", ""), ("", ""), ("retard de la mairie", "")])

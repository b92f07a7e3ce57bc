"""Features of a fold that come from counts are those of a vectorizer that was fitted on the fold, and each text is read once."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from passerelle.training.cross_validation import outcomes_out_of_fold
from passerelle.training.evaluate import Predictions
from passerelle.training.features import FoldPredictions
from passerelle.training.text_counts import TextCounts
from training.candidates import text_candidates

LABELS = np.array(["voirie", "compte", "merci"] * 12)
EVERYTHING = np.arange(36)
FOLDS = [
    (np.setdiff1d(EVERYTHING, EVERYTHING[start * 12 : start * 12 + 12]), EVERYTHING[start * 12 : start * 12 + 12]) for start in range(3)
]
WORDS = {"voirie": "rue trottoir trou chaussée", "compte": "mot passe accès connexion", "merci": "bravo merci accueil équipe"}


def texts() -> pd.DataFrame:
    random = np.random.default_rng(0)
    own = [" ".join(random.choice(f"{WORDS[label]} le la de été demande".split(), 8)) for label in LABELS]
    return pd.DataFrame({"text": [f"{text} n{place}" for place, text in enumerate(own)]})


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, strip_accents="unicode", min_df=3),
        TfidfVectorizer(min_df=2, use_idf=False, norm="l1", stop_words=["le"], dtype=np.float32),
        TfidfVectorizer(binary=True, smooth_idf=False, norm=None),
    ],
)
def test_features_are_those_of_a_vectorizer_that_was_fitted_on_the_fold(vectorizer: TfidfVectorizer) -> None:
    records = texts()
    counts = TextCounts(records)
    for fit, score in FOLDS:
        found = counts.of_fold(vectorizer, ("text",), (fit, score))
        assert found is not None
        wanted = vectorizer.fit_transform(records["text"].iloc[fit])
        assert found.fitted_on.dtype == wanted.dtype
        assert np.allclose(found.fitted_on.toarray(), wanted.toarray(), rtol=1e-6)
        assert np.allclose(found.scored.toarray(), vectorizer.transform(records["text"].iloc[score]).toarray(), rtol=1e-6)


@pytest.mark.parametrize(
    ("vectorizer", "columns"),
    [
        (TfidfVectorizer(max_features=5), ("text",)),
        (TfidfVectorizer(max_df=0.9), ("text",)),
        (TfidfVectorizer(min_df=0.1), ("text",)),
        (TfidfVectorizer(vocabulary=["rue"]), ("text",)),
        (TfidfVectorizer(min_df=30), ("text",)),
        (CountVectorizer(), ("text",)),
        (TfidfVectorizer(), ()),
        (TfidfVectorizer(), (["text"],)),
    ],
)
def test_other_vectorizers_read_the_texts_themselves(vectorizer: Any, columns: tuple[object, ...]) -> None:
    assert TextCounts(texts()).of_fold(vectorizer, columns, FOLDS[0]) is None


def test_each_text_is_read_once_for_all_folds_and_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    build = CountVectorizer.build_analyzer

    def counting(self: CountVectorizer) -> Any:
        analyze = build(self)

        def analyzed(text: str) -> Any:
            read.append(self.analyzer)
            return analyze(text)

        return analyzed

    monkeypatch.setattr(CountVectorizer, "build_analyzer", counting)
    pipelines = [candidate.pipeline for candidate in text_candidates()]
    together = outcomes_out_of_fold(pipelines, texts(), LABELS, FOLDS)
    assert (read.count("word"), read.count("char_wb")) == (36, 36)
    for pipeline, found in zip(pipelines, together, strict=True):
        alone = clone(pipeline).fit(texts().iloc[FOLDS[0][0]], LABELS[FOLDS[0][0]])
        assert isinstance(found, Predictions)
        assert found.probabilities is not None
        assert np.allclose(found.probabilities[FOLDS[0][1]], alone.predict_proba(texts().iloc[FOLDS[0][1]]), rtol=0, atol=1e-12)


def test_the_features_of_a_fold_are_gone_before_those_of_the_next() -> None:
    records = texts()
    gc.disable()
    try:
        features = FoldPredictions(records, LABELS, FOLDS[0], TextCounts(records))
        features.fit(text_candidates()[0].pipeline)
        kept = weakref.ref(features)
        del features
        assert kept() is None, "only the garbage collector would find them"
    finally:
        gc.enable()


def test_n_grams_that_no_fold_can_know_are_not_kept() -> None:
    records = texts()
    counts = TextCounts(records)
    vectorizer = TfidfVectorizer(min_df=2)
    assert counts.of_fold(vectorizer, ("text",), FOLDS[0]) is not None
    (kept,) = counts._counts.values()
    assert kept.shape[1] < len(TfidfVectorizer().fit(records["text"]).vocabulary_) - len(records) + 1

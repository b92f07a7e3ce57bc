"""The share of a record's n-grams that the model knows, next to scikit-learn's own analyzers."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from tests.unit.scorer.scorer_cases import corpus, on_text
from tests.unit.scorer.small_sections import ran

TEXTS = ("carte grise perdue zzzz", "zzzz", "Élan d'été  carte", "carte " * 40 + "inconnuissime" * 30, "un deux trois quatre " * 300)
VECTORIZERS: dict[str, list[Any]] = {
    "words": [TfidfVectorizer()],
    "pairs": [TfidfVectorizer(ngram_range=(1, 2))],
    "pairs alone": [TfidfVectorizer(ngram_range=(2, 2))],
    "of two lengths": [TfidfVectorizer(ngram_range=(2, 3))],
    "characters in words": [CountVectorizer(analyzer="char_wb", ngram_range=(2, 4))],
    "characters": [CountVectorizer(analyzer="char", ngram_range=(1, 3))],
    "other tokens": [TfidfVectorizer(token_pattern=r"(?u)\w+", ngram_range=(1, 2))],
    "both": [TfidfVectorizer(ngram_range=(1, 2), strip_accents="unicode"), CountVectorizer(analyzer="char_wb", ngram_range=(3, 5))],
}


def expected(vectorizers: list[Any], text: str) -> float:
    found = [(ngram in each.vocabulary_) for each in vectorizers for ngram in each.build_analyzer()(text)]
    return sum(found) / len(found) if found else 0.0


@pytest.mark.parametrize("name", VECTORIZERS)
def test_the_share_counts_each_occurrence(name: str) -> None:
    records, labels = corpus(4)
    pipeline = Pipeline([*on_text(*VECTORIZERS[name]), ("classifier", LogisticRegression())]).fit(records, labels)
    vectorizers = [each for _, each, column in pipeline.named_steps["columns"].transformers_ if column == "text"]
    scorer = compile_pipeline(pipeline)
    assert isinstance(scorer, CompiledScorer)
    for text in TEXTS:
        share = expected(vectorizers, text)
        assert scorer.answer({"text": text}).known_ngrams == pytest.approx(share, abs=1e-12), text
        assert ran(scorer.answer_in_slices({"text": text}))[1].known_ngrams == pytest.approx(share, abs=1e-12), text


def test_a_hash_knows_every_ngram_and_a_text_without_ngrams_has_none() -> None:
    records, labels = corpus(4)
    pipeline = Pipeline([*on_text(HashingVectorizer(n_features=64, ngram_range=(1, 2))), ("classifier", LogisticRegression())])
    scorer = compile_pipeline(pipeline.fit(records, labels))
    assert isinstance(scorer, CompiledScorer)
    assert [scorer.answer({"text": text}).known_ngrams for text in ("zzzz qqqq", "?", "")] == [1.0, 0.0, 0.0]

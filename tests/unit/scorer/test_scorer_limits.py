"""Ties, long texts, memory and threads."""

from __future__ import annotations

import copy
import threading
import tracemalloc
import unicodedata
from itertools import combinations

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer, strip_accents_ascii, strip_accents_unicode
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import Pipeline

from passerelle.scorer import analyzers, chunks
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from tests.unit.scorer.scorer_cases import HOSTILE, WORDS, corpus, fitted, frame, on_text


def compiled(pipeline: Pipeline) -> CompiledScorer:
    scorer = compile_pipeline(pipeline)
    assert isinstance(scorer, CompiledScorer)
    return scorer


def sentences(count: int, words: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice([*WORDS, *HOSTILE[2:]], words)) for _ in range(count)]


@pytest.mark.parametrize("nudge", [0.0, 1e-16, -1e-16, 1e-12])
def test_a_tie_is_decided_as_scikit_learn_decides_it(nudge: float) -> None:
    records, labels = corpus(4)
    pipeline = Pipeline([*on_text(TfidfVectorizer(), TfidfVectorizer(analyzer="char_wb")), ("classifier", LogisticRegression())])
    pipeline.fit(records, labels)
    classifier = pipeline.named_steps["classifier"]
    classifier.coef_[2] = classifier.coef_[1] * (1.0 + nudge)
    classifier.intercept_[1:3] = 5.0
    texts = ["", "…", *sentences(20, 30)]
    scorer = compiled(pipeline)
    asked = [{"text": text} for text in texts]
    expected = pipeline.predict(frame(texts)).tolist()
    assert scorer.labels(asked) == expected
    assert [scorer.classes[scorer.answer(record).label_index] for record in asked] == expected


def test_a_text_without_any_known_word_gets_the_label_that_the_pipeline_gives() -> None:
    records, labels = corpus(4)
    pipeline = Pipeline([*on_text(TfidfVectorizer()), ("classifier", ComplementNB())]).fit(records, labels)
    scorer = compiled(pipeline)
    unknown = [{"text": text} for text in ("", " ", "zzzz qqqq", "\ud800")]
    assert scorer.labels(unknown) == pipeline.predict(frame(["", "", "", ""])).tolist()
    row = scorer.one(unknown[0])
    row += 1.0
    assert np.array_equal(scorer.one(unknown[0]), row - 1.0), "an answer that its owner changes changes no other"


@pytest.mark.parametrize("features", ["demo", "hashed binary", "counts then tfidf"])
def test_long_texts(features: str) -> None:
    texts = ["vélo " * 5000, "e" * 20_000, "a b" * 9000, *sentences(2, 4000)]
    pipeline = fitted(features, "logistic")
    scorer = compiled(pipeline)
    asked = [{"text": text} for text in texts]
    assert np.abs(scorer.answers(asked)[1] - pipeline.predict_proba(frame(texts))).max() <= 1e-9
    assert scorer.labels(asked) == pipeline.predict(frame(texts)).tolist()


def test_words_that_nobody_wrote_before_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "GENERATION_BYTES", 2**15)
    scorer = compiled(fitted("demo", "logistic"))
    random = np.random.default_rng(0)

    def ask(count: int) -> None:
        for _ in range(count):
            scorer.one({"text": " ".join(f"carte{number}mairie" for number in random.integers(0, 10**12, 50))})

    ask(10)
    tracemalloc.start()
    ask(20)
    for number in range(20):
        scorer.one({"text": "☃" * 5000 + str(number)})
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 3 * 2**15, f"{kept} bytes kept after 1,000 unique words and 20 of 10 KB"


def test_several_threads_get_the_answers_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "GENERATION_BYTES", 20_000)
    asked = [{"text": text} for text in sentences(200, 20, seed=3)]
    scorer = compiled(fitted("demo", "logistic"))
    expected = scorer.answers(asked)[1]
    found: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        order = np.random.default_rng(number).permutation(len(asked))
        rows = np.empty_like(expected)
        for i in order.tolist():
            rows[i] = scorer.one(asked[i])
        found[number] = rows

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    assert all(np.array_equal(rows, expected) for rows in found.values())


def test_accents_go_as_in_scikit_learn_for_every_character() -> None:
    unicode_, ascii_ = (analyzers.preprocess_of(lowercase=False, accents=accents) for accents in ("unicode", "ascii"))
    for start in range(0, 0x110000, 0x400):
        text = "é" + "a".join(map(chr, range(start, start + 0x400)))
        assert unicode_(text) == strip_accents_unicode(text)
        assert ascii_(text) == strip_accents_ascii(text)


def test_whitespace_never_joins_a_word_and_stays_whitespace() -> None:
    """Chunks can be lower-cased, stripped and cut on their own only because of this."""
    for character in map(chr, range(0x110000)):
        if character.isspace():
            assert character.split() == []
            assert unicodedata.normalize("NFKD", character).isspace()
            assert not (character.isalnum() or character == "_")
            assert not unicodedata.combining(character)
            assert ("ΑΣ" + character + "Α").lower() == "ας" + character + "α"


def test_hashes_that_cancel_each_other() -> None:
    """A row of zeros has no norm to be divided by."""
    records, labels = corpus(2)
    pipeline = Pipeline([*on_text(HashingVectorizer(n_features=2)), ("classifier", LogisticRegression())]).fit(records, labels)
    texts = [" ".join(pair) for pair in combinations(("carte", "mairie", "vélo", "impôt", "école", "retard", "merci"), 2)]
    hashed = pipeline[:-1].transform(frame(texts))
    assert min(abs(hashed).sum(axis=1)) == 0.0
    rows = compiled(pipeline).answers([{"text": text} for text in texts])[1]
    assert np.abs(rows - pipeline.predict_proba(frame(texts))).max() <= 1e-9


@pytest.mark.parametrize("classifier", ["sgd huber", "sgd log", "rest, huber", "svm, isotonic"])
def test_no_class_is_likely(classifier: str) -> None:
    """Where every class has the probability zero, each kind of classifier has its own way out."""
    pipeline = copy.deepcopy(fitted("words", classifier))
    model = pipeline[-1]
    members = getattr(model, "estimators_", None) or [c.estimator for c in getattr(model, "calibrated_classifiers_", ())] or [model]
    for member in members:
        member.intercept_ = member.intercept_ - 2000.0
    texts = ["", "merci", *sentences(10, 10)]
    expected = pipeline.predict_proba(frame(texts))
    scorer = compiled(pipeline)
    assert np.abs(scorer.answers([{"text": text} for text in texts])[1] - expected).max() <= 1e-9
    assert np.ptp(expected, axis=1).max() <= 1e-9, "the case is the one that is meant"

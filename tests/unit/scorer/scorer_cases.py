"""Pipelines of every kind that the scorer compiles, fitted on a small corpus, and unusual texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer, StandardScaler
from sklearn.svm import LinearSVC

from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack, unpack
from passerelle.training.candidate import Candidate

WORDS = [
    "le",
    "la",
    "de",
    "l'impôt",
    "Impôt",
    "ÉCOLE",
    "école",
    "vélo",
    "Vélib'",
    "retard",
    "remboursé",
    "remboursé",
    "carte",
    "carte-grise",
    "d’identité",
    "mairie",
    "mairie.",
    "déchets",
    "tri",
    "œuvre",
    "ŒUVRE",
    "ﬁn",
    "½",
    "Straße",
    "STRASSE",
    "İstanbul",
    "ΟΔΟΣ",
    "ΣΑΣ",
    "x",
    "y",
    "a",
    "2023",
    "12:30",
    "merci",
    "MERCI",
    "très",
    "très_bien",
    "aujourd'hui",
    "où",
    "ça",
]
HOSTILE = (
    "\ud800", "\udfff", "\x00", "\ufeff", "\u0301", "\u0327\u0301", "\U0001d165", "\U000e0100", "\u200b", "\u200d", "\u00a0", "\u2028",
    "\x85", "\x1c", "\x1f", "\u3000", "\u1680", "\u00a8", "\u00b4", "\u037a", "\u1fbf",
    "İ", "ı", "ẞ", "Σ", "ς", "ﷺ", "שָׁלוֹם", "مَرْحَبًا", "한국어", "각", "👩‍👩‍👧", "🇫🇷", "𝒞𝒽𝒶𝓉", "①",
    "ª", "_", "__", "-", "\t\t", "\r\n", " \u00a0 ", "\v", "\f",
)  # fmt: skip
LABELS = ("Argent", "Famille", "Étranger", "Pb de suivi /Délai")


def corpus(classes: int) -> tuple[pd.DataFrame, list[str]]:
    """Return 80 texts in two columns and their labels, the same each time."""
    rng = np.random.default_rng(7)
    labels = [LABELS[i % classes] for i in range(80)]

    def text(label: str) -> str:
        start = LABELS.index(label) * 8
        words = [*rng.choice(WORDS, 6), *rng.choice(WORDS[start : start + 12], 6), *rng.choice(HOSTILE[2:], 1)]
        return " ".join(rng.permutation(words))

    columns = {name: pd.Series([text(label) for label in labels], dtype=object) for name in ("text", "title")}
    return pd.DataFrame(columns), labels


def frame(texts: Sequence[str], titles: Sequence[str] | None = None) -> pd.DataFrame:
    """Return records as a table that holds any string, lone surrogates too."""
    return pd.DataFrame({"text": pd.Series(list(texts), dtype=object), "title": pd.Series(list(titles or texts), dtype=object)})


def on_text(*vectorizers: Any, after: Sequence[Any] = (), weights: dict[str, float] | None = None) -> list[tuple[str, Any]]:
    """Return the steps of a ColumnTransformer with these on the text column, and what follows."""
    parts = [(f"v{i}", vectorizer, "text") for i, vectorizer in enumerate(vectorizers)]
    return [("columns", ColumnTransformer(parts, transformer_weights=weights)), *((f"s{i}", step) for i, step in enumerate(after))]


def _chars(**options: Any) -> TfidfVectorizer:
    return TfidfVectorizer(**{"analyzer": "char_wb", "ngram_range": (2, 5), "sublinear_tf": True} | options)


STOPS = ["le", "la", "de", "très"]
FEATURES: dict[str, Callable[[], list[tuple[str, Any]]]] = {
    "demo": lambda: on_text(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode"), _chars(strip_accents="unicode")
    ),
    "words": lambda: on_text(TfidfVectorizer()),
    "word triples": lambda: on_text(TfidfVectorizer(ngram_range=(2, 3), lowercase=False, norm="l1")),
    "stop words": lambda: on_text(TfidfVectorizer(stop_words=STOPS, ngram_range=(1, 3), min_df=2, max_features=200, binary=True)),
    "english stop words": lambda: on_text(CountVectorizer(stop_words="english", token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2))),
    "grouped token": lambda: on_text(TfidfVectorizer(token_pattern=r"(\w+)['\u2019]?\w*", stop_words=STOPS, smooth_idf=False)),
    "ascii": lambda: on_text(_chars(strip_accents="ascii"), TfidfVectorizer(strip_accents="ascii", use_idf=False)),
    "mixed preprocessing": lambda: on_text(_chars(lowercase=False), _chars(strip_accents="unicode", norm=None), TfidfVectorizer()),
    "characters": lambda: on_text(TfidfVectorizer(analyzer="char", ngram_range=(1, 4))),
    "long characters": lambda: on_text(CountVectorizer(analyzer="char_wb", ngram_range=(1, 7), dtype=np.float64)),
    "longer than a word": lambda: on_text(TfidfVectorizer(analyzer="char_wb", ngram_range=(5, 6)), TfidfVectorizer()),
    "token across blanks": lambda: on_text(TfidfVectorizer(token_pattern=r"\w+ \w+", ngram_range=(1, 2))),
    "counts": lambda: on_text(CountVectorizer(ngram_range=(1, 2)), CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True)),
    "counts then tfidf": lambda: on_text(CountVectorizer(), _counts(), after=[TfidfTransformer(sublinear_tf=True)]),
    "scaled": lambda: on_text(TfidfVectorizer(), _chars(norm="l1"), after=[MaxAbsScaler(), StandardScaler(with_mean=False), Normalizer()]),
    "weights": lambda: on_text(TfidfVectorizer(), _chars(), weights={"v0": 0.3, "v1": 2.0}, after=[Normalizer("l1")]),
    "hashed": lambda: on_text(HashingVectorizer(n_features=64, ngram_range=(1, 2)), HashingVectorizer(analyzer="char_wb", n_features=512)),
    "hashed unsigned": lambda: on_text(
        HashingVectorizer(n_features=128, alternate_sign=False, norm=None), after=[TfidfTransformer(sublinear_tf=True)]
    ),
    "hashed binary": lambda: on_text(
        HashingVectorizer(n_features=32, binary=True, norm="l1"), HashingVectorizer(n_features=32, analyzer="char", norm=None)
    ),
    "nested": lambda: on_text(
        Pipeline([("count", CountVectorizer()), ("tfidf", TfidfTransformer()), ("norm", Normalizer()), ("nothing", "passthrough")]),
        FeatureUnion([("a", _chars()), ("b", TfidfVectorizer()), ("c", "drop")], transformer_weights={"a": 0.5}),
    ),
    "two columns": lambda: [
        (
            "inner",
            Pipeline(
                [
                    (
                        "columns",
                        ColumnTransformer([("a", TfidfVectorizer(), "title"), ("b", _chars(), "text"), ("c", TfidfVectorizer(), "text")]),
                    ),
                    ("scale", MaxAbsScaler()),
                ]
            ),
        )
    ],
}


def _counts() -> CountVectorizer:
    return CountVectorizer(analyzer="char_wb", ngram_range=(2, 3), strip_accents="unicode")


def _svm() -> LinearSVC:
    return LinearSVC(random_state=0)


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(C=10),
    "logistic without intercept": lambda: LogisticRegression(fit_intercept=False),
    "logistic cv": lambda: LogisticRegressionCV(Cs=2, cv=2, l1_ratios=(0.0,), use_legacy_attributes=False),
    "svm": _svm,
    "svm, sigmoid": lambda: CalibratedClassifierCV(_svm(), cv=3),
    "svm, one sigmoid": lambda: CalibratedClassifierCV(_svm(), cv=3, ensemble=False),
    "svm, isotonic": lambda: CalibratedClassifierCV(_svm(), method="isotonic", cv=2),
    "svm, one isotonic": lambda: CalibratedClassifierCV(_svm(), method="isotonic", cv=3, ensemble=False),
    "svm, temperature": lambda: CalibratedClassifierCV(_svm(), method="temperature", cv=2),
    "svm, one temperature": lambda: CalibratedClassifierCV(_svm(), method="temperature", cv=3, ensemble=False),
    "bayes, sigmoid": lambda: CalibratedClassifierCV(MultinomialNB(), cv=2),
    "logistic, isotonic": lambda: CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2),
    "ridge": lambda: RidgeClassifier(solver="sparse_cg"),
    "ridge cv": lambda: RidgeClassifierCV(alphas=(0.1, 1.0)),
    "sgd hinge": lambda: SGDClassifier(random_state=0),
    "sgd log": lambda: SGDClassifier(loss="log_loss", alpha=1e-5, random_state=0),
    "sgd huber": lambda: SGDClassifier(loss="modified_huber", random_state=0),
    "perceptron": lambda: Perceptron(random_state=0),
    "passive aggressive": lambda: PassiveAggressiveClassifier(random_state=0),
    "complement": lambda: ComplementNB(alpha=0.3),
    "complement, normed": lambda: ComplementNB(norm=True),
    "multinomial": MultinomialNB,
    "multinomial without prior": lambda: MultinomialNB(fit_prior=False),
    "rest, logistic": lambda: OneVsRestClassifier(LogisticRegression(solver="liblinear")),
    "rest, svm": lambda: OneVsRestClassifier(_svm()),
    "rest, huber": lambda: OneVsRestClassifier(SGDClassifier(loss="modified_huber", random_state=0)),
}


@cache
def fitted(features: str, classifier: str, classes: int = 4) -> Pipeline:
    """Return the pipeline of these names, fitted once in a process."""
    records, labels = corpus(classes)
    pipeline = Pipeline([*FEATURES[features](), ("classifier", CLASSIFIERS[classifier]())])
    pipeline.fit(records, labels)
    return pipeline


def largest_difference(candidate: Candidate, fit: pd.DataFrame, labels: list[str], ask: pd.DataFrame, folder: Path) -> float:
    """Fit, save and load as the service does, and return the largest difference; labels must be the same, with a pipeline and without."""
    candidate.pipeline.fit(fit, labels)
    pipeline = skops.io.loads(skops.io.dumps(candidate.pipeline), trusted=list(candidate.trusted_types))
    scorer = compile_pipeline(pipeline)
    assert isinstance(scorer, CompiledScorer), scorer
    asked: list[Any] = ask.to_dict(orient="records")
    matrix, classifier = pipeline[:-1].transform(ask), pipeline[-1]
    expected = classifier.predict(matrix).tolist()
    indices, rows = scorer.answers(asked)
    assert [scorer.classes[index] for index in indices] == expected
    pack(scorer, folder)
    alone = unpack(folder, pipeline_label=None)
    assert alone is not None
    assert alone.labels(asked) == expected
    return float(np.abs(rows - classifier.predict_proba(matrix)).max())


def frozen() -> Pipeline:
    """Return a pipeline whose linear model was fitted first and calibrated after."""
    records, labels = corpus(4)
    features = Pipeline(FEATURES["demo"]())
    table = features.fit_transform(records)
    calibrated = CalibratedClassifierCV(FrozenEstimator(_svm().fit(table, labels))).fit(table, labels)
    return Pipeline([("features", features), ("classifier", calibrated)])


def texts(*, surrogates: bool = True) -> st.SearchStrategy[str]:
    """Return the strategy of texts: known words, odd characters and anything else, in any order, with any blanks."""
    odd = HOSTILE if surrogates else HOSTILE[2:]
    anything = st.text(st.characters() if surrogates else st.characters(exclude_categories=["Cs"]), max_size=8)
    piece = st.one_of(st.sampled_from(WORDS), st.sampled_from(odd), anything)
    blank = st.sampled_from([" ", " ", " ", "", "  ", "\n", "\u00a0", "\u2028", "\t \t"])
    return st.lists(st.tuples(piece, blank), max_size=14).map(lambda pairs: "".join(a + b for a, b in pairs))

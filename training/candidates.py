"""The candidates: what a practitioner would try, each a named scikit-learn pipeline.

A team that trains something else replaces this file. Two rules hold: a pipeline selects
its columns by name (MLflow hands it a table), and it holds no function or class of one's
own, so that it loads from the skops format without trusting anything but scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from passerelle.training.candidate import Candidate
from passerelle.training.dataset import TEXT, Dataset

# scikit-learn's own types that skops does not trust by itself; a model's allow-list holds those that it needs and no other.
_TEMPERATURE = ("sklearn.calibration._CalibratedClassifier", "sklearn.calibration._TemperatureScaling")
_TREES = ("sklearn.tree._tree.Tree",)
_BOOSTED_TREES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)

# scikit-learn's own pattern leaves words of one letter out: à, y, and what stands before an apostrophe.
_ANY_WORD = r"(?u)\b\w+\b"

# Of the words next to the characters, in the SVM: a text of a few words is mostly known by parts of them.
_WEIGHT_OF_WORDS = 0.7

# An n-gram is a feature where at least one record in so many has it: otherwise vocabulary, model and memory grow with every record.
_ROWS_FOR_ONE_MORE = 10_000


def candidates_for(data: Dataset, *, seed: int = 0) -> tuple[Candidate, ...]:
    """Return the candidates for this kind of data."""
    if data.kind == "text":
        return text_candidates(list(data.records.columns), seed=seed, rows=len(data.records))
    words = [name for name in data.records.columns if not pd.api.types.is_numeric_dtype(data.records[name].dtype)]
    numbers = [name for name in data.records.columns if name not in words]
    return tabular_candidates(numbers, words, seed=seed)


def text_candidates(texts: Sequence[str] = (TEXT,), *, seed: int = 0, rows: int = 0) -> tuple[Candidate, ...]:
    """Return the candidates for records of one or several texts; each text has features of its own, so that a short one counts too.

    Args:
        texts: Columns of the texts.
        seed: Of the classifiers.
        rows: Of the data; in many of them, an n-gram counts only if several records have it.
    """
    words, characters = _words(texts, rows), _characters(texts, rows)
    mixed = [*words, *characters]
    weights = {name: _WEIGHT_OF_WORDS for name, _, _ in words}
    # With this tolerance a fit takes two thirds of the time, and answers as with a smaller one.
    linear = LinearSVC(C=1, class_weight="balanced", tol=0.01, random_state=seed)
    # A temperature leaves the order of the classes as it is: a sigmoid for each class would undo their weights.
    svm = CalibratedClassifierCV(linear, method="temperature", cv=3, ensemble=False)
    sgd = SGDClassifier(loss="log_loss", alpha=1e-5, class_weight="balanced", random_state=seed)
    return (
        Candidate("word_lr", "words and pairs of words, logistic regression", _pipeline(words, _logistic(seed))),
        Candidate("mixed_lr", "words and characters, logistic regression", _pipeline(mixed, _logistic(seed))),
        Candidate("mixed_svm", "words and characters, linear SVM with a temperature", _pipeline(mixed, svm, weights), _TEMPERATURE),
        Candidate("mixed_cnb", "words and characters, complement naive Bayes", _pipeline(mixed, ComplementNB(alpha=0.3))),
        Candidate("mixed_sgd", "words and characters, log loss by stochastic gradient descent", _pipeline(mixed, sgd)),
    )


def tabular_candidates(numbers: Sequence[str], words: Sequence[str], *, seed: int = 0) -> tuple[Candidate, ...]:
    """Return the candidates for rows of features, numbers and words."""
    forest = RandomForestClassifier(n_estimators=200, min_samples_leaf=2, random_state=seed)
    boosting = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.1, early_stopping=False, random_state=seed)

    def columns() -> list[tuple[str, Any, Any]]:
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        parts = [("numbers", StandardScaler(), list(numbers)), ("categories", one_hot, list(words))]
        return [part for part in parts if part[2]]

    logistic = LogisticRegression(max_iter=1000, random_state=seed)
    return (
        Candidate("scaled_lr", "scaled features, logistic regression", _pipeline(columns(), logistic)),
        Candidate("forest", "random forest", _pipeline(columns(), forest), _TREES),
        Candidate("boosting", "gradient boosting on histograms", _pipeline(columns(), boosting), _BOOSTED_TREES),
    )


def _pipeline(columns: list[tuple[str, Any, Any]], classifier: Any, weights: dict[str, float] | None = None) -> Pipeline:
    # A clone, so that a change to one candidate's features leaves the others alone.
    return Pipeline([("features", clone(ColumnTransformer(columns, transformer_weights=weights))), ("classifier", classifier)])


def _words(texts: Sequence[str], rows: int) -> list[tuple[str, TfidfVectorizer, str]]:
    fewest = _fewest_records(rows)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode", token_pattern=_ANY_WORD, min_df=fewest)
    return _for_each("words", vectorizer, texts)


def _characters(texts: Sequence[str], rows: int) -> list[tuple[str, TfidfVectorizer, str]]:
    fewest = _fewest_records(rows)
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, strip_accents="unicode", min_df=fewest)
    return _for_each("characters", vectorizer, texts)


def _fewest_records(rows: int) -> int:
    return max(1, rows // _ROWS_FOR_ONE_MORE)


def _for_each(name: str, vectorizer: TfidfVectorizer, texts: Sequence[str]) -> list[tuple[str, TfidfVectorizer, str]]:
    """Return the vectorizer for each text; where there are several, they are told apart by a number."""
    return [(name if len(texts) == 1 else f"{name}_{place}", clone(vectorizer), text) for place, text in enumerate(texts, start=1)]


def _logistic(seed: int) -> LogisticRegression:
    # Balanced: residents write much more about some subjects than about others, and each class counts the same in macro-F1.
    # On tens of thousands of n-grams newton-cg reaches the same optimum in a quarter of lbfgs' time.
    return LogisticRegression(C=10, class_weight="balanced", solver="newton-cg", max_iter=1000, random_state=seed)

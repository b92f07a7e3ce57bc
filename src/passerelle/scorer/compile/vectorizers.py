"""How a fitted vectorizer cuts a text, or the option that prevents compiling."""

from __future__ import annotations

import re

from sklearn.base import BaseEstimator

from passerelle.scorer.analyzers import DEFAULT_TOKEN_PATTERN, Analyzer
from passerelle.scorer.compile.refusal import Refusal


def analyzer_of(vectorizer: BaseEstimator, part: str) -> Analyzer:
    """Return how this vectorizer cuts a text.

    Raises:
        Refusal: It calls a function of its owner's, or an option has no exact counterpart here.
    """
    for option in ("analyzer", "tokenizer", "preprocessor", "strip_accents"):
        if callable(getattr(vectorizer, option)):
            raise Refusal(part, f"{option} is a function of its own")
    if vectorizer.input != "content":
        raise Refusal(part, f"input={vectorizer.input!r} reads files, a record holds the text")
    smallest, largest = vectorizer.ngram_range
    if not 1 <= smallest <= largest:
        raise Refusal(part, f"ngram_range={vectorizer.ngram_range!r} is not a range of positive lengths")
    pattern, stop_words = DEFAULT_TOKEN_PATTERN, frozenset[str]()
    if vectorizer.analyzer == "word":
        if vectorizer.token_pattern is None:
            raise Refusal(part, "token_pattern is None and there is no tokenizer")
        pattern, stop_words = str(vectorizer.token_pattern), frozenset(vectorizer.get_stop_words() or ())
        if re.compile(pattern).groups > 1:
            raise Refusal(part, "token_pattern has more than one group")
    accents = vectorizer.strip_accents or None
    return Analyzer(vectorizer.analyzer, (int(smallest), int(largest)), bool(vectorizer.lowercase), accents, pattern, stop_words)

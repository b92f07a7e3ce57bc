"""Token patterns whose time grows faster than the text are refused at registration."""

from __future__ import annotations

import re

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from passerelle.errors import RefusedError
from passerelle.model.token_patterns import check_token_patterns, too_slow_from


def pipeline(**options: object) -> Pipeline:
    words = ("words", TfidfVectorizer(**options), "text")
    hashed = ("hashed", HashingVectorizer(analyzer="char"), "text")
    return Pipeline([("features", ColumnTransformer([words, hashed])), ("classifier", LogisticRegression())])


@pytest.mark.parametrize("pattern", [r"\w+@\w+", r"(?:a+)+b", r"(?:\w+\s?)+!", r"\d+,\d+", r".*=.*;"])
def test_a_pattern_that_backtracks_is_refused(pattern: str) -> None:
    with pytest.raises(RefusedError, match=r"takes more than 0.1 s of processor time for a text of \d+ characters"):
        check_token_patterns(pipeline(token_pattern=pattern))


@pytest.mark.parametrize("pattern", [r"(?u)\b\w\w+\b", r"(?u)\b\w+\b", r"[a-zéèà]+(?:['-][a-zéèà]+)*", r"\S+", r"[^\W\d_]{2,}"])
def test_a_pattern_in_proportion_to_the_text_passes(pattern: str) -> None:
    check_token_patterns(pipeline(token_pattern=pattern))


def test_a_pattern_that_no_analyzer_uses_is_not_looked_at() -> None:
    check_token_patterns(pipeline(token_pattern=r"(?:a+)+b", analyzer="char_wb"))


def test_a_pattern_that_passed_is_not_tried_again_and_one_that_was_refused_is(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_from = iter((16, None))
    monkeypatch.setattr("passerelle.model.token_patterns.too_slow_from", lambda *_: next(slow_from))
    with pytest.raises(RefusedError):
        check_token_patterns(pipeline(token_pattern=r"once\w+"))
    for _ in range(2):
        check_token_patterns(pipeline(token_pattern=r"once\w+"))


def test_no_text_is_longer_than_what_is_accepted() -> None:
    seen: list[str] = []
    assert too_slow_from(seen.append, r"\w+", most_characters=1_000) is None
    assert max(map(len, seen)) == 1_000
    assert {text[0] for text in seen} >= set(re.findall(r"\S", r"\w+"))

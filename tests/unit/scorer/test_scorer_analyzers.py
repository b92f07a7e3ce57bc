"""How texts are cut, next to scikit-learn's own analyzers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from sklearn.feature_extraction.text import CountVectorizer

from passerelle.scorer.analyzers import (
    Analyzer,
    char_ngrams,
    char_ngrams_in_slices,
    char_wb_ngrams_of_chunk,
    char_wb_ngrams_of_chunk_in_slices,
    preprocess_of,
    tokenizer_of,
    word_ngrams,
    word_ngrams_in_slices,
)
from passerelle.scorer.compile.refusal import Refusal, named
from passerelle.scorer.compile.vectorizers import analyzer_of
from tests.unit.scorer.scorer_cases import HOSTILE

TEXTS = ("", " ", "a", "ab", "Élan d'été", "carte grise perdue", "a  b\tc\u00a0d e", "aaaa bb aaaa", *HOSTILE)
RANGES = ((1, 1), (1, 2), (2, 2), (1, 3), (2, 4), (3, 3), (5, 6))


@pytest.mark.parametrize("ngrams", RANGES)
@pytest.mark.parametrize("kind", ["word", "char", "char_wb"])
def test_texts_are_cut_as_scikit_learn_cuts_them(kind: str, ngrams: tuple[int, int]) -> None:
    for lowercase, accents in product((True, False), (None, "ascii", "unicode")):
        vectorizer = CountVectorizer(analyzer=kind, ngram_range=ngrams, lowercase=lowercase, strip_accents=accents)
        analyzer, cut = analyzer_of(vectorizer, "part"), vectorizer.build_analyzer()
        assert analyzer == Analyzer(kind, ngrams, lowercase, accents)
        preprocess, tokenize = preprocess_of(lowercase=lowercase, accents=accents), tokenizer_of(analyzer)
        for text in TEXTS:
            clean = preprocess(text)
            if kind == "word":
                mine = word_ngrams(tokenize(clean), *ngrams)
            elif kind == "char":
                mine = char_ngrams(clean, *ngrams)
            else:
                mine = [each for chunk in clean.split() for each in char_wb_ngrams_of_chunk(chunk, *ngrams)]
            assert sorted(mine) == sorted(cut(text)), (text, lowercase, accents)


@pytest.mark.parametrize("ngrams", RANGES)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_slices_hold_the_same_ngrams_in_the_same_order_and_are_small(ngrams: tuple[int, int], size: int) -> None:
    for text in ("", "a", "abc", "abcd efgh ij", "mot " * 9):
        tokens = text.split()
        pairs: list[tuple[list[str], list[list[str]]]] = [
            (word_ngrams(tokens, *ngrams), list(word_ngrams_in_slices(tokens, *ngrams, size))),
            (char_ngrams(text, *ngrams), list(char_ngrams_in_slices(text, *ngrams, size))),
            (char_wb_ngrams_of_chunk("abcdefg", *ngrams), list(char_wb_ngrams_of_chunk_in_slices("abcdefg", *ngrams, size))),
            (char_wb_ngrams_of_chunk("a", *ngrams), list(char_wb_ngrams_of_chunk_in_slices("a", *ngrams, size))),
        ]
        for whole, slices in pairs:
            assert [each for part in slices for each in part] == whole
            assert all(len(part) <= size for part in slices)
            assert len(slices) <= len(whole)


def test_stop_words_and_patterns_of_ones_own_are_kept() -> None:
    vectorizer = CountVectorizer(stop_words=["le"], token_pattern=r"(?u)\b\w+\b")
    analyzer = analyzer_of(vectorizer, "part")
    assert (analyzer.tokens, analyzer.stop_words) == (r"(?u)\b\w+\b", frozenset({"le"}))
    assert tokenizer_of(analyzer)("le a le bc") == ["a", "bc"]
    assert analyzer_of(CountVectorizer(analyzer="char", stop_words=["le"]), "part").stop_words == frozenset()


@pytest.mark.parametrize(
    ("analyzer", "by_chunk", "by_pairs"),
    [
        (Analyzer("word", (1, 2), True, None), True, True),
        (Analyzer("word", (2, 2), True, None), True, True),
        (Analyzer("word", (1, 1), True, None), True, False),
        (Analyzer("word", (1, 3), True, None), True, False),
        (Analyzer("word", (1, 2), True, None, r"(?u)\b\w+\b"), True, True),
        (Analyzer("word", (1, 2), True, None, r"\w+"), True, True),
        (Analyzer("word", (1, 2), True, None, r"\w+ \w+"), False, False),
        (Analyzer("char_wb", (1, 2), True, None), True, False),
        (Analyzer("char", (1, 2), True, None), False, False),
    ],
)
def test_what_never_crosses_white_space_is_cut_chunk_by_chunk(analyzer: Analyzer, by_chunk: bool, by_pairs: bool) -> None:
    assert (analyzer.by_chunk, analyzer.by_pairs) == (by_chunk, by_pairs)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"ngram_range": (0, 1)}, "not a range of positive lengths"),
        ({"ngram_range": (2, 1)}, "not a range of positive lengths"),
        ({"input": "file"}, "reads files"),
        ({"token_pattern": None}, "token_pattern is None"),
        ({"token_pattern": r"(\w)(\w)"}, "more than one group"),
        ({"tokenizer": str.split}, "tokenizer is a function"),
    ],
)
def test_what_has_no_counterpart_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal, match=why) as refused:
        analyzer_of(CountVectorizer(**options), "part")
    assert refused.value.verdict.part == "part"
    assert why in refused.value.verdict.why
    assert analyzer_of(CountVectorizer(token_pattern=r"(\w)\w"), "part").tokens == r"(\w)\w"
    assert (named("a.b", 1), named("", 1)) == ("a.b (int)", "int")

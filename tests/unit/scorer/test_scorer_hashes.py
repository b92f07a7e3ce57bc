"""n-grams get the columns and signs that scikit-learn's HashingVectorizer gives them."""

from __future__ import annotations

import mmh3
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from passerelle.scorer.compile.steps import sections_of
from passerelle.scorer.encoding import encoder_of
from passerelle.scorer.sections import BINARY, Hashing, Section

#: Its hash is -2**31, of which there is no absolute value in 32 bits.
SMALLEST = "aivlts3m"


@pytest.mark.parametrize("alternate_sign", [True, False])
@pytest.mark.parametrize("n_features", [1, 1000, 1 << 18])
def test_each_word_gets_the_same_column_and_sign(n_features: int, alternate_sign: bool) -> None:
    assert mmh3.hash(SMALLEST.encode(), seed=0, signed=True) == -(2**31)
    words = [SMALLEST, "impôt", "école", "œuvre", "한국어", "\U0001d49e\U0001d4bd", *(f"mot{number}" for number in range(2_000))]
    vectorizer = HashingVectorizer(n_features=n_features, alternate_sign=alternate_sign, norm=None)
    [section] = sections_of([("words", vectorizer)], "text")
    codes = encoder_of(section, 0)(words)
    table = vectorizer.transform(words).tocoo()
    found = dict(zip(table.row.tolist(), zip(table.col.tolist(), table.data.tolist(), strict=True), strict=True))
    assert [(code >> 1, -1.0 if code & 1 else 1.0) for code in codes] == [found[place] for place in range(len(words))]


def test_where_only_presence_counts_there_is_no_sign() -> None:
    section = Section("text", sections_of([("words", HashingVectorizer())], "text")[0].analyzer, Hashing(1000, signed=True), BINARY)
    assert not any(code & 1 for code in encoder_of(section, 0)(["impôt", "école", SMALLEST]))

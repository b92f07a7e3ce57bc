"""N-grams to codes, and texts to the codes of their n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from passerelle.scorer import chunks
from passerelle.scorer.analyzers import Analyzer
from passerelle.scorer.chunks import sources_of
from passerelle.scorer.encoding import Joined, crossing_ngrams_of, encoder_of
from passerelle.scorer.pairs import pairs_of
from passerelle.scorer.sections import Section, Vocabulary
from tests.unit.scorer.scorer_cases import HOSTILE
from tests.unit.scorer.small_sections import chunked, hashed, ran, section

TEXTS = ("", " ", "a", "ab", "Élan d'été", "carte grise perdue", "a  b\tc\u00a0d e", "aaaa bb aaaa", *HOSTILE)
RANGES = ((1, 1), (1, 2), (2, 2), (1, 3), (2, 4), (3, 3), (5, 6))


WORDS = ("a", "b", "c", "a b", "b c")


def test_a_known_ngram_is_twice_its_column_and_an_unknown_one_nothing() -> None:
    encode = encoder_of(section(*WORDS), 10)
    assert encode(["a", "x", "b c", "a", "c"]) == [20, 28, 20, 24]


@pytest.mark.parametrize("signed", [True, False])
def test_hashes_are_scikit_learns(signed: bool) -> None:
    words = [f"mot{number}" for number in range(60)]
    encode = encoder_of(hashed(16, signed=signed), 3)
    vectorizer = HashingVectorizer(n_features=16, norm=None, alternate_sign=signed)
    for word in words:
        (code,) = encode([word])
        row = vectorizer.transform([word])
        assert (code >> 1) - 3 == row.indices[0]
        assert row.data[0] == (-1 if code & 1 else 1)
    assert len({code & 1 for code in encode(words)}) == (2 if signed else 1)


def test_pairs_of_words_are_found_by_number() -> None:
    pairs = pairs_of({"a": 0, "a b": 1, "b c": 2, "c a": 3, "a a": 4}, 5)
    assert pairs.tokens == ("a", "b", "c")
    assert pairs.keys.tolist() == [0, 1, 6, 8, 2**63 - 1]
    assert pairs.known.tolist() == [18, 12, 14, 16, 0]
    shares = [pairs.share(tokens) for tokens in (["a", "b"], [], ["c"], ["x"], ["a", "a"])]
    assert pairs.codes(shares).tolist() == [12, 14, 18]
    assert [codes.tolist() for codes in pairs.codes_in_slices(shares, 1)] == [[12, 14, 18]]
    assert pairs.codes([]).tolist() == pairs.codes([pairs.share(["a"])]).tolist() == []
    assert pairs_of({"a": 0}, 0).codes([pairs.share(["a", "b"])]).tolist() == []


def test_longer_ngrams_are_joined_over_white_space() -> None:
    terms = ("a b", "a b c", "b c")
    of = section(*terms, ngrams=(1, 3))
    across = crossing_ngrams_of(of, 0, encoder_of(of, 0))
    assert isinstance(across, Joined)
    shares = [across.share(tokens) for tokens in (["a"], ["b", "c"], [])]
    assert sorted(across.codes(shares).tolist()) == [0, 2, 4]
    assert sorted(code for codes in across.codes_in_slices(shares, 1) for code in codes.tolist()) == [0, 2, 4]
    of = section(*terms, ngrams=(3, 3))
    assert crossing_ngrams_of(of, 0, encoder_of(of, 0)).codes(shares).tolist() == [2]
    of = hashed(ngrams=(1, 2))
    assert isinstance(crossing_ngrams_of(of, 0, encoder_of(of, 0)), Joined)


def codes(of: Sequence[Section], text: str) -> list[int]:
    (source,) = sources_of(of)
    found = [int(code) for run in source.codes(text).runs for code in np.frombuffer(run, dtype=np.int32)]
    _, again = ran(source.codes_in_slices(text))
    assert sorted(int(code) for run in again.runs for code in np.frombuffer(run, dtype=np.int32)) == sorted(found)
    return sorted(found)


@pytest.mark.parametrize(
    ("of", "text", "expected"),
    [
        ([chunked("aa", "bb", "aa bb", "bb aa")], "aa bb aa zz", [0, 0, 2, 4, 6]),
        ([chunked("aa", "bb", "aa bb", ngrams=(2, 2))], "aa bb", [4]),
        ([chunked("aa", "bb", "aa bb", ngrams=(1, 1))], "aa bb", [0, 2]),
        ([chunked("aa", "aa bb cc", ngrams=(1, 3))], "aa bb cc", [0, 2]),
        ([chunked("aa"), chunked("bb", "aa")], "aa bb", [0, 2, 4]),
        ([section(" a", "a ", "ab", kind="char_wb", ngrams=(2, 2))], "a ab", [0, 0, 2, 4]),
        ([section("a b", "b", kind="char", ngrams=(1, 3))], "a  b", [0, 2]),
        ([section("a", "a b", tokens=r"\w")], "a,b", [0, 2]),
        ([chunked("aa"), section("a", kind="char", ngrams=(1, 1))], "aa", [0, 2, 2]),
    ],
)
def test_a_text_is_turned_into_the_codes_of_its_ngrams(of: list[Section], text: str, expected: list[int]) -> None:
    assert codes(of, text) == expected


def test_a_source_is_a_field_preprocessed_in_one_way() -> None:
    plain, lower = Analyzer("word", (1, 1), False, None), Analyzer("word", (1, 1), True, None)
    terms = Vocabulary({"aa": 0}, 1)
    of = [Section("text", plain, terms), Section("title", plain, terms), Section("text", lower, terms), Section("text", plain, terms)]
    sources = sources_of(of)
    assert [source.column for source in sources] == ["text", "title", "text"]
    found = [sorted(np.frombuffer(b"".join(map(bytes, source.codes("aa AA").runs)), dtype=np.int32).tolist()) for source in sources]
    assert found == [[0, 6], [2], [4, 4]]


def test_chunks_are_remembered_in_two_generations_and_long_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = sources_of([chunked("aa")])
    monkeypatch.setattr(chunks, "GENERATION_BYTES", 3 * chunks.ENTRY_BYTES)
    made: list[str] = []
    make = source._make

    def noted(chunk: str) -> Any:
        made.append(chunk)
        return make(chunk)

    monkeypatch.setattr(source, "_make", noted)
    for text in ("aa", "aa aa", "b" * 48, "b" * 48, "c" * 49, "c" * 49):
        source.codes(text)
    assert made == ["aa", "b" * 48, "c" * 49, "c" * 49]
    source.codes("d e f g")
    assert made[4:] == ["d", "e", "f", "g"]
    source.codes("aa d")
    assert made[8:] == [], "the generation before is still known"
    source.codes("h i j k l m n o p q")
    source.codes("aa")
    assert made[-1] == "aa", "the one before that is not"


def test_a_long_text_pauses_after_so_many_ngrams() -> None:
    (source,) = sources_of([chunked("aa", ngrams=(1, 1))])
    source.codes("aa")
    assert ran(source.codes_in_slices("aa " * 511))[0] == 0
    assert ran(source.codes_in_slices("aa " * 512))[0] == 1
    assert ran(source.codes_in_slices("aa " * 1_024))[0] == 2
    (source,) = sources_of([chunked("aa", ngrams=(1, 1))])
    # A word that was not seen counts four times its length, and once more.
    assert ran(source.codes_in_slices(" ".join(f"mot{number:05}" for number in range(32))))[0] == 2
    assert ran(source.codes_in_slices("x" * 49))[0] == 0
    (source,) = sources_of([section("aa", kind="char_wb", ngrams=(2, 2))])
    assert ran(source.codes_in_slices("x" * 5_000))[0] >= 9
    (source,) = sources_of([section("aa", kind="char", ngrams=(2, 2))])
    assert ran(source.codes_in_slices("x" * 1_025))[0] == 2

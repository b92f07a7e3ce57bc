"""The parts of the scorer by themselves, on small arrays and texts: cut, encode, count, weigh, and make probabilities."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

from passerelle.errors import DataError
from passerelle.scorer import chunks
from passerelle.scorer.analyzers import (
    DEFAULT_TOKEN_PATTERN,
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
from passerelle.scorer.chunks import sources_of
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.scorer.compile.refusal import Refusal, named
from passerelle.scorer.compile.transforms import binarize, join, multiply, normalize, take_log
from passerelle.scorer.compile.vectorizers import analyzer_of
from passerelle.scorer.encoding import Joined, crossing_ngrams_of, encoder_of
from passerelle.scorer.head import Average, Head, Isotonics, Member, Sigmoids, head_from
from passerelle.scorer.linear import END, LinearScores
from passerelle.scorer.links import Each, Link, Softmax, Two, huber, sigmoid, simple_link_of
from passerelle.scorer.pairs import pairs_of
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.sections import (
    Hashing,
    Section,
    Vocabulary,
)
from tests.unit.scorer.scorer_cases import HOSTILE

TEXTS = ("", " ", "a", "ab", "Élan d'été", "carte grise perdue", "a  b\tc\u00a0d e", "aaaa bb aaaa", *HOSTILE)
RANGES = ((1, 1), (1, 2), (2, 2), (1, 3), (2, 4), (3, 3), (5, 6))


def ran(work: Generator[None, None, Any]) -> tuple[int, Any]:
    """Return how often the work paused, and its result."""
    pauses = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return pauses, end.value
        pauses += 1


# --- cutting


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


# --- encoding


WORDS = ("a", "b", "c", "a b", "b c")


def section(*terms: str, kind: str = "word", ngrams: tuple[int, int] = (1, 2), column: str = "text", tokens: str = r"\w+") -> Section:
    return Section(column, Analyzer(kind, ngrams, False, None, tokens), Vocabulary({term: n for n, term in enumerate(terms)}, len(terms)))


def chunked(*terms: str, ngrams: tuple[int, int] = (1, 2), **changed: Any) -> Section:
    return section(*terms, ngrams=ngrams, tokens=DEFAULT_TOKEN_PATTERN, **changed)


def hashed(width: int = 8, *, signed: bool = True, column: str = "text", ngrams: tuple[int, int] = (1, 1)) -> Section:
    return Section(column, Analyzer("word", ngrams, False, None), Hashing(width, signed))


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


# --- looking up


def codes(of: Sequence[Section], text: str) -> list[int]:
    (source,) = sources_of(of)
    found = [int(code) for run in source.codes(text) for code in np.frombuffer(run, dtype=np.int32)]
    _, again = ran(source.codes_in_slices(text))
    assert sorted(int(code) for run in again for code in np.frombuffer(run, dtype=np.int32)) == sorted(found)
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
    found = [sorted(np.frombuffer(b"".join(map(bytes, source.codes("aa AA"))), dtype=np.int32).tolist()) for source in sources]
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


# --- counting and weighing


def rows(of: Sequence[Section], coefficients: Any, intercepts: Any = (0.0,)) -> LinearScores:
    return LinearScores.of(of, np.asarray(coefficients, dtype=np.float64), np.asarray(intercepts))


def scores(of: LinearScores, *found: int) -> Any:
    result = of.scores(np.array([*found, END], dtype=np.int32))
    return None if result is None else [pytest.approx(value) for value in result]


COEFFICIENTS = [[1.0], [10.0], [100.0]]


def test_counts_times_coefficients_and_the_intercept() -> None:
    of = rows([section("a", "b", "c")], COEFFICIENTS, (0.5,))
    assert scores(of, 2, 0, 2, 2) == [31.5]
    assert scores(of) is None
    assert scores(of, 4) == [100.5]
    two = rows([section("a", "b")], [[1.0, 2.0], [3.0, 4.0]], (0.0, 1.0))
    assert scores(two, 0, 2) == [4.0, 7.0]


def test_shapes_of_counts_are_each_sections_own() -> None:
    log, flag, plain = section("a"), section("b"), section("c")
    take_log([log], "part")
    binarize(flag)
    of = rows([log, flag, plain], COEFFICIENTS)
    assert scores(of, 0, 0, 0, 2, 2, 4, 4) == [1 + math.log(3) + 10 + 200]
    for alone, expected in ((log, 1 + math.log(3)), (flag, 1.0), (plain, 3.0)):
        assert scores(rows([alone], [[1.0]]), 0, 0, 0) == [expected]


@pytest.mark.parametrize(("order", "norms"), [("l2", (5.0, 2.0)), ("l1", (7.0, 2.0))])
def test_a_norm_of_a_section_is_over_its_own_values(order: str, norms: tuple[float, float]) -> None:
    of = [section("a", "b"), section("c")]
    for each in of:
        normalize([each], order, "part")
    assert scores(rows(of, COEFFICIENTS), *[0] * 3, *[2] * 4, *[4] * 2) == [(3 + 40) / norms[0] + 200 / norms[1]]


@pytest.mark.parametrize(("order", "norm"), [("l2", math.sqrt(29)), ("l1", 9.0)])
def test_a_norm_of_the_union_is_over_all_values(order: str, norm: float) -> None:
    of = [section("a", "b"), section("c")]
    normalize(of, order, "part")
    assert scores(rows(of, COEFFICIENTS), *[0] * 3, *[2] * 4, *[4] * 2) == [243 / norm]


def test_factors_before_a_norm_count_in_it_and_those_after_do_not() -> None:
    of = section("a", "b")
    multiply([of], [3.0, 2.0], "part")
    normalize([of], "l2", "part")
    multiply([of], 10.0, "part")
    assert scores(rows([of], [[1.0], [1.0]]), 0, 2, 2) == [10 * (3 + 4) / 5]
    other = section("c")
    assert scores(rows([of, other], COEFFICIENTS), 0, 2, 2, 4) == [10 * (3 + 40) / 5 + 100]


def test_signed_hashes_are_added_with_their_sign_and_a_zero_norm_divides_nothing() -> None:
    of = hashed(3)
    normalize([of], "l1", "part")
    assert scores(rows([of], COEFFICIENTS), 0, 0, 1, 3, 5, 5) == [(1 - 10 - 200) / 4]
    assert scores(rows([of], COEFFICIENTS), 2, 3) == [0.0]
    binarize(of)
    assert not of.signed
    assert not hashed(3, signed=False).signed
    assert not section("a").signed


def test_steps_that_have_no_formula_are_refused() -> None:
    cases: list[tuple[str, Any]] = [
        ("factors do not fit 1 columns", lambda: multiply([section("a")], [1.0, 2.0], "part")),
        ("norm='max' is not compiled", lambda: normalize([section("a")], "max", "part")),
        ("signed hashes", lambda: take_log([hashed()], "part")),
    ]
    logged, scaled, normed, branch = section("a"), section("a"), section("a"), [section("a"), section("b")]
    take_log([logged], "part")
    multiply([scaled], 2.0, "part")
    normalize([normed], "l1", "part")
    normalize(branch, "l1", "part")
    cases += [("no longer counts", lambda each=each: take_log([each], "part")) for each in (logged, scaled, normed, branch[0])]
    cases += [("inside one branch", lambda: join([branch, [section("c")]], "part"))]
    for why, step in cases:
        with pytest.raises(Refusal, match=why):
            step()
    assert join([branch], "part") == branch
    assert len(join([[section("a")], [section("b"), section("c")]], "part")) == 3
    flag = section("a")
    binarize(flag)
    take_log([flag], "part")
    assert flag.shape == "binary", "the logarithm of 1 is nothing"
    nothing = section("a")
    normalize([nothing], None, "part")
    assert nothing.untouched


# --- probabilities


def table(*rows: Sequence[float]) -> Any:
    return np.array(rows, dtype=np.float64)


LINKS: list[tuple[Link, Any, Any]] = [
    (Softmax(), table([0.0, math.log(3)], [900.0, 900.0]), [[0.25, 0.75], [0.5, 0.5]]),
    (Two("sigmoid"), table([0.0], [math.log(3)], [-900.0], [900.0]), [[0.5, 0.5], [0.25, 0.75], [1, 0], [0, 1]]),
    (Two("huber"), table([0.0], [0.5], [3.0], [-3.0]), [[0.5, 0.5], [0.25, 0.75], [0, 1], [1, 0]]),
    (Each("huber", "uniform"), table([0.0, 1.0, -1.0], [-2.0, -2.0, -2.0]), [[1 / 3, 2 / 3, 0], [1 / 3, 1 / 3, 1 / 3]]),
    (Each("huber", "zero"), table([0.0, 1.0, -1.0], [-2.0, -2.0, -2.0]), [[1 / 3, 2 / 3, 0], [0, 0, 0]]),
]


@pytest.mark.parametrize(("link", "given", "expected"), LINKS)
def test_scores_become_probabilities_and_a_link_can_be_written_down(link: Link, given: Any, expected: Any) -> None:
    assert link(given.copy()) == pytest.approx(np.array(expected))
    assert simple_link_of(link.spec()) == link


def test_the_logistic_function_and_hubers_at_their_ends() -> None:
    assert sigmoid(np.array([0.0, 2.0, -2.0, 800.0, -800.0])) == pytest.approx([0.5, 0.880797, 0.119203, 1, 0], abs=1e-6)
    assert huber(np.array([-5.0, -1.0, 0.0, 1.0, 5.0])).tolist() == [0, 0, 0.5, 1, 1]


def test_what_decides_is_the_score_or_the_probability() -> None:
    one = table([0.3], [-0.3])
    assert Head(("a", "b"), 1, None).rows(one).tolist() == [[-0.3, 0.3], [0.3, -0.3]]
    assert Head(("a", "b"), 1, None).deciding(one, one).tolist() == [[0, 0.3], [0, -0.3]]
    three = table([1.0, 2.0, 3.0])
    assert Head(("a", "b", "c"), 3, None).rows(three) is three
    assert Head(("a", "b", "c"), 3, Softmax()).deciding(three, one) is three
    assert Head(("a", "b", "c"), 3, Softmax(), by_probability=True).deciding(three, one) is one
    assert Head(("a", "b"), 1, Two("sigmoid")).rows(table([0.0])).tolist() == [[0.5, 0.5]]


SIGMOIDS, STEPS = Sigmoids((-1.0, -2.0, -1.0), (0.0, 0.5, 0.0)), Isotonics((([0.0, 1.0], [0.2, 0.6], 0.0, 1.0),))


def test_calibrators_are_platts_and_isotonic_ones() -> None:
    values = Sigmoids((-1.0, 2.0), (0.5, 0.0))(table([math.log(3), 1.0]))
    assert values == pytest.approx(table([1 / (1 + math.exp(-math.log(3) + 0.5)), 1 / (1 + math.exp(2.0))]))
    assert STEPS(table([-1.0], [0.5], [7.0])) == pytest.approx(table([0.2], [0.4], [0.6]))


def member(**changed: Any) -> Member:
    given: dict[str, Any] = {
        "head": Head(("a", "b", "c"), 3, None),
        "start": 1,
        "classes": 3,
        "positions": (0, 1, 2),
        "calibrate": SIGMOIDS,
    }
    return Member(**(given | changed))


def test_a_calibrated_member_takes_its_own_scores_and_its_probabilities_add_up() -> None:
    found = member().probabilities(table([99.0, 0.0, 0.0, 0.0, 99.0]))
    raw = np.array([0.5, 1 / (1 + math.exp(0.5)), 0.5])
    assert found == pytest.approx(raw[None, :] / raw.sum())
    two = member(head=Head(("a", "b"), 1, None), start=0, classes=2, positions=(1,), calibrate=STEPS)
    assert two.probabilities(table([0.5], [9.0])) == pytest.approx(table([0.6, 0.4], [0.4, 0.6]))
    nothing = member(calibrate=lambda values: values * 0.0).probabilities(table([0.0, 1.0, 2.0, 3.0]))
    assert nothing == pytest.approx(table([1 / 3, 1 / 3, 1 / 3]))
    three = member(positions=(2, 0, 1), calibrate=lambda values: values)
    assert three.probabilities(table([0.0, 0.5, 0.2, 0.3])) == pytest.approx(table([0.2, 0.3, 0.5]))
    above = member(start=0, classes=2, head=Head(("a", "b"), 1, None), positions=(1,), calibrate=lambda values: values)
    assert above.probabilities(table([1.0 + 9e-6], [1.0 + 2e-5]))[:, 1].tolist() == [1.0, 1.0 + 2e-5]


def test_a_member_is_calibrated_on_margins_or_on_bayes_probabilities() -> None:
    seen: list[Any] = []

    def calibrate(values: Any) -> Any:
        seen.append(values.tolist())
        return np.full_like(values, 0.5)

    bayes = Head(("a", "b"), 2, Softmax())
    member(head=bayes, start=0, classes=2, positions=(1,), calibrate=calibrate).probabilities(table([0.0, math.log(3)]))
    logistic = Head(("a", "b"), 1, Two("sigmoid"), positive="sigmoid")
    member(head=logistic, start=0, classes=2, positions=(1,), calibrate=calibrate).probabilities(table([0.7]))
    member(head=Head(("a", "b", "c"), 3, Softmax()), start=0, calibrate=calibrate).probabilities(table([0.0, 0.0, 0.0]))
    assert seen == [[[pytest.approx(0.75)]], [[0.7]], [[pytest.approx(1 / 3)] * 3]]


def test_an_average_is_the_mean_of_its_members_and_a_head_can_be_written_down() -> None:
    def of(value: float) -> Any:
        return lambda values: np.full_like(values, value)

    single = {"head": Head(("a", "b"), 1, None), "classes": 2, "positions": (1,)}
    average = Average(tuple(member(start=place, calibrate=of(value), **single) for place, value in enumerate((0.2, 0.4, 0.9))))
    assert average(table([0.0, 0.0, 0.0])) == pytest.approx(table([0.5, 0.5]))
    whole = Head(("a", "b", "c"), 5, Average((member(), member(calibrate=STEPS, positions=(0,)))), by_probability=True)
    for head in (whole, Head(("a", 1), 1, Two("huber"), positive="huber"), Head((0, 1), 1, None)):
        assert head_from(head.spec()) == head


# --- the scorer


class Asked:
    """A pipeline that says `b` and counts how often it was asked."""

    def __init__(self) -> None:
        self.tables: list[Any] = []

    def predict(self, given: Any) -> Any:
        self.tables.append(given)
        return np.array(["b"])


def scorer(pipeline: Asked | None, *, coefficients: Any = ((1.0, 1.0, 0.0), (0.0, 1.0, 2.0)), **options: Any) -> CompiledScorer:
    of = [chunked("aa", ngrams=(1, 1)), chunked("bb", ngrams=(1, 1), column="title")]
    head = Head(("a", "b", "c"), 3, None)
    give = None if pipeline is None else partial(pipeline_label, pipeline)
    return CompiledScorer(of, rows(of, coefficients, (0.5, 0.5, 0.0)), head, pipeline_label=give, **options)


TIE, CLEAR, UNKNOWN = {"text": "aa", "title": ""}, {"text": "", "title": "bb"}, {"text": "zz", "title": "zz"}


def test_the_pipeline_is_asked_only_where_rounding_decides() -> None:
    pipeline = Asked()
    of = scorer(pipeline)
    assert (of.columns, of.classes, of.has_probabilities) == (("text", "title"), ("a", "b", "c"), False)
    assert of.labels([CLEAR]) == ["c"]
    assert of.answer(CLEAR).label_index == 2
    assert pipeline.tables == []
    assert of.labels([TIE, CLEAR]) == ["b", "c"]
    assert of.answer(TIE).label_index == 1
    assert [each.to_dict("records") for each in pipeline.tables] == [[TIE], [TIE]]
    assert of.answer(TIE).row.tolist() == of.one(TIE).tolist() == of.answers([TIE])[1][0].tolist() == [1.5, 1.5, 0.0]


@pytest.mark.parametrize(("distance", "asked"), [(0.0, True), (2e-9, True), (1e-8, False)])
def test_a_near_tie_is_one_within_a_billionth_of_the_value(distance: float, asked: bool) -> None:
    pipeline = Asked()
    of = scorer(pipeline, coefficients=((1.0, 1.0 - distance, 0.0), (0.0, 0.0, 0.0)))
    assert of.answer(TIE).label_index == int(asked)
    assert of.labels([TIE]) == ["b" if asked else "a"]
    assert len(pipeline.tables) == 2 * asked


def test_another_may_be_asked_and_without_anybody_the_greater_is_it() -> None:
    pipeline = Asked()
    of = scorer(pipeline)
    assert of.answer(TIE, ask=lambda record: 2 if record is TIE else 0).label_index == 2
    assert of.answers([CLEAR, TIE], ask=lambda _: 0)[0].tolist() == [2, 0]
    assert pipeline.tables == []
    alone = scorer(None)
    assert (alone.answer(TIE).label_index, alone.labels([TIE])) == (0, ["a"])
    with pytest.raises(LookupError, match="no pipeline to ask"):
        alone.ask(TIE)


def test_a_text_without_a_known_word_is_asked_for_once_and_has_the_intercepts() -> None:
    pipeline = Asked()
    of = scorer(pipeline)
    assert of.labels([UNKNOWN, {"text": "", "title": ""}]) == ["b", "b"]
    assert of.answer(UNKNOWN).label_index == 1
    assert [each.to_dict("records") for each in pipeline.tables] == [[{"text": "", "title": ""}]]
    row = of.one(UNKNOWN)
    row += 1
    assert of.one(UNKNOWN).tolist() == [0.5, 0.5, 0.0]


def test_a_bare_pipeline_is_asked_with_the_text_itself() -> None:
    pipeline = Asked()
    assert scorer(pipeline, bare=True).ask(TIE) == 1
    assert pipeline.tables == [["aa"]]


def test_answers_in_slices_are_the_same_to_the_bit() -> None:
    of = scorer(Asked())
    records = [TIE, CLEAR, UNKNOWN] * 50
    indices, values = of.answers(records)
    pauses, (sliced, same) = ran(of.answers_in_slices(records, [10] * 150, at_once=1_000))
    assert (sliced.tolist(), same.tolist()) == (indices.tolist(), values.tolist())
    assert pauses == 1 + 3, "1,500 characters, 1,000 at once; 150 rows, 64 at once"
    pauses, (sliced, _) = ran(of.answers_in_slices(records, [1_001] * 150, at_once=1_000))
    assert sliced.tolist() == indices.tolist()
    assert pauses == 150 + 3
    assert ran(of.answers_in_slices([TIE], [1_000], at_once=1_000))[0] == 1
    _, answer = ran(of.answer_in_slices(CLEAR))
    assert (answer.label_index, answer.row.tolist()) == (2, of.one(CLEAR).tolist())


@pytest.mark.parametrize("record", [{}, {"text": None, "title": ""}, {"text": b"aa", "title": ""}, {"text": "aa"}])
def test_a_record_without_its_text_is_refused(record: dict[str, object]) -> None:
    of = scorer(None)
    with pytest.raises(DataError, match=r"The record's field « (text|title) » holds no text\."):
        of.answer(record)
    with pytest.raises(DataError):
        ran(of.answer_in_slices(record))

"""Counting, weighing and dividing by norms, on tables of three numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from passerelle.scorer.compile.refusal import Refusal
from passerelle.scorer.compile.transforms import binarize, join, multiply, normalize, take_log
from passerelle.scorer.linear import END, LinearScores
from tests.unit.scorer.scorer_cases import HOSTILE
from tests.unit.scorer.small_sections import hashed, rows, section

TEXTS = ("", " ", "a", "ab", "Élan d'été", "carte grise perdue", "a  b\tc\u00a0d e", "aaaa bb aaaa", *HOSTILE)
RANGES = ((1, 1), (1, 2), (2, 2), (1, 3), (2, 4), (3, 3), (5, 6))


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


@pytest.mark.parametrize("width", [9, 1 << 22], ids=["32 bits", "64 bits"])
def test_many_texts_get_the_scores_of_each(width: int) -> None:
    """The keys of 512 texts with four million columns do not fit 32 bits."""
    of = [hashed(width, signed=False), hashed(3, signed=False)]
    for each in of:
        normalize([each], "l2", "part")
    arithmetic = rows(of, np.arange(1.0, width + 4)[:, np.newaxis])
    texts = [np.array([0, 2 * place % 16, 2 * (width - 1), 2 * width + 2], dtype=np.int32) for place in range(511)]
    places = np.arange(511, dtype=np.int32).repeat(4)
    found = arithmetic.table_scores(places, np.concatenate(texts), 512)
    expected = [arithmetic.scores(np.append(text, END)) for text in texts]
    assert found[:511].tolist() == [row.tolist() for row in expected if row is not None]
    assert found[511].tolist() == [0.0]

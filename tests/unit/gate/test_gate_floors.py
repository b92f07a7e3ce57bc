"""Limits of figures and floors of classes and slices, at their very edges."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from passerelle.gate import checks
from passerelle.gate.checks import in_units, within_limit
from tests.unit.gate.findings import only, rules, said, told
from tests.unit.gate.verdicts import CLASSES, contender, evidence, scores

TRUTH = [0] * 6 + [1] * 5 + [2] * 4
RIGHT = contender(2, scores(TRUTH, TRUTH))


def test_a_figure_may_be_at_its_limit() -> None:
    of = said([0] * 10, [0] * 9 + [1])
    expected = ["accuracy", "size_bytes"]
    for minimum, maximum, failed in ((0.9, 1e6, []), (0.91, 1e6, expected[:1]), (0.9, 999_999, expected[1:])):
        found = list(checks.limits(of, rules(held_out={"minimum": {"accuracy": minimum}, "maximum": {"size_bytes": maximum}})))
        assert [each.check for each in found] == expected
        assert [each.check for each in found if not each.passed] == failed
    assert told(found[0]) == (True, "0.900", "≥ 0.900", "")
    assert told(found[1]) == (False, "1.0 MB", "≤ 1.0 MB", "size_bytes is 1.0 MB, at most 1.0 MB is asked for")
    low = only(checks.limits(of, rules(held_out={"minimum": {"accuracy": 0.95}})))
    assert low.message == "accuracy is 0.900, at least 0.950 is asked for"


def test_a_figure_that_was_not_measured_is_refused() -> None:
    bare = evidence(contender(2, replace(RIGHT.scores, probabilities=None)))
    found = only(checks.limits(bare, rules(held_out={"maximum": {"log_loss": 5.0}})))
    assert told(found) == (False, "—", "≤ 5.000", "log_loss cannot be measured: the model gives no probabilities")


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "expected"),
    [
        (1.0, 1.0, True, True),
        (1.0, 1.0, False, True),
        (0.99, 1.0, True, False),
        (1.01, 1.0, False, False),
        (math.nan, 1.0, True, False),
        (math.nan, 1.0, False, False),
        (0.0, 0.0, False, True),
    ],
)
def test_within_a_limit(value: float, limit: float, at_least: bool, expected: bool) -> None:
    assert within_limit(value, limit, at_least=at_least) is expected


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("size_bytes", 1_234_567, "1.2 MB"),
        ("latency_p95_ms", 1.234, "1.23 ms"),
        ("memory_mib", 20.4, "20 MiB"),
        ("accuracy", 0.12345, "0.123"),
    ],
)
def test_figures_have_the_unit_of_their_name(name: str, value: float, words: str) -> None:
    assert in_units(name, value) == words


def test_class_floors_hold_for_classes_with_enough_rows_and_for_those_that_are_named() -> None:
    # F1: 12/13 for 0 (six of six, one more given), 8/9 for 1, 1 for 2.
    of = said(TRUTH, [0] * 6 + [0] + [1] * 4 + [2] * 4)
    f1 = of.challenger.scores.class_f1
    assert [f1[label] for label in CLASSES] == pytest.approx([12 / 13, 8 / 9, 1.0])

    def floors(**held_out: Any) -> list[tuple[bool, str, str, str]]:
        return [told(each) for each in checks.class_floors(of, rules(held_out=held_out))]

    assert floors() == []
    assert floors(class_f1=0.85) == [(True, "0.889", "≥ 0.85", "")]
    low = f"F1 of '{CLASSES[1]}' is 0.889, at least 0.9 is asked for"
    assert floors(class_f1=0.9) == [(False, "0.889", "≥ 0.9", low)]
    assert floors(class_f1=0.9, class_rows=5) == [(False, "0.889", "≥ 0.9", low)]
    assert floors(class_f1=0.9, class_rows=6) == [(True, "0.923", "≥ 0.9", "")]
    assert floors(classes={CLASSES[1]: 0.5}, class_f1=0.9) == [(True, "0.923", "≥ 0.9", "")]
    assert floors(classes={CLASSES[2]: 1.0}) == [(True, "1.000", "≥ 1", "")]
    assert floors(classes={"Zoo": 0.5}) == [(False, "—", "—", "the criteria ask 0.5 of 'Zoo', which no held-out row has")]


def test_slice_floors_hold_for_slices_with_enough_rows() -> None:
    texts = ["court"] * 5 + ["un texte bien plus long que soixante caractères, pour n'être pas court"] * 10
    of = evidence(contender(2, scores(TRUTH, [1] + [0] * 5 + [1] * 5 + [2] * 4)), records=pd.DataFrame({"text": texts}))

    def floors(**held_out: Any) -> list[tuple[bool, str, str, str]]:
        return [told(each) for each in checks.slice_floors(of, rules(held_out=held_out))]

    low = "accuracy on the slice short (5 rows) is 0.800, at least 0.81 is asked for"
    assert floors(slices={"short": 0.8}) == [(True, "0.800", "≥ 0.8", "")]
    assert floors(slices={"short": 0.81}) == [(False, "0.800", "≥ 0.81", low)]
    assert floors(slices={"short": 0.81}, class_rows=6) == []
    label = f"accuracy on the label '{CLASSES[0]}' (6 rows) is 0.833, at least 0.9 is asked for"
    assert floors(slices={"label": 0.9}) == [(False, "0.833", "≥ 0.9", label)]
    assert floors(slices={"label": 0.83}, class_rows=6) == [(True, "0.833", "≥ 0.83", "")]
    assert floors(slices={"label": 0.9}, class_rows=7) == []
    assert floors(slices={"capitals": 0.9}) == []

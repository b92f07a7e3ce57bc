"""From scores to probabilities, on tables of three numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from passerelle.scorer.head import Average, Head, Isotonics, Member, Sigmoids, Temperature, head_from
from passerelle.scorer.links import Each, Link, Softmax, Two, huber, sigmoid, simple_link_of
from tests.unit.scorer.scorer_cases import HOSTILE

TEXTS = ("", " ", "a", "ab", "Élan d'été", "carte grise perdue", "a  b\tc\u00a0d e", "aaaa bb aaaa", *HOSTILE)
RANGES = ((1, 1), (1, 2), (2, 2), (1, 3), (2, 4), (3, 3), (5, 6))


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


def test_a_temperature_changes_how_sure_a_model_is_and_not_of_what() -> None:
    cold = member(calibrate=Temperature(2.0)).probabilities(table([99.0, 0.0, math.log(2), math.log(3)]))
    assert cold == pytest.approx(table([1 / 14, 4 / 14, 9 / 14]))
    two = member(head=Head(("a", "b"), 1, None), start=0, classes=2, positions=(1,), calibrate=Temperature(0.5))
    assert two.probabilities(table([math.log(3)], [-math.log(3)])) == pytest.approx(table([0.25, 0.75], [0.75, 0.25]))


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
    members = (member(), member(calibrate=STEPS, positions=(0,)), member(calibrate=Temperature(2.0)))
    whole = Head(("a", "b", "c"), 5, Average(members), by_probability=True)
    for head in (whole, Head(("a", 1), 1, Two("huber"), positive="huber"), Head((0, 1), 1, None)):
        assert head_from(head.spec()) == head

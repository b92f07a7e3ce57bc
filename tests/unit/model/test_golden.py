"""Golden predictions of any task are compared: values, probabilities, named outputs, NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.errors import GoldenError
from passerelle.model.golden import Golden, golden_content, read_golden, replay, same_value

NAN = {"$number": "NaN"}
INPUTS: list[dict[str, object]] = [{"a": 1.0}, {"a": NAN}]


def difference(
    tmp_path: Path, seen: Sequence[object], now: Sequence[object], probabilities: Sequence[Sequence[float]] | None = None
) -> float:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(golden_content(INPUTS, seen, [0, 1] if probabilities else [], probabilities), allow_nan=False))
    return replay(read_golden(path), lambda _: (now, probabilities))


@pytest.mark.parametrize(
    "values",
    [
        [1.5, NAN],
        [[0, 1], []],
        [{"height": 1.5, "width": [1, 2]}, {"height": NAN, "width": []}],
        [0, True],
        ["é", None],
    ],
)
def test_values_of_every_task_are_the_same_as_themselves(tmp_path: Path, values: list[object]) -> None:
    assert difference(tmp_path, values, json.loads(json.dumps(values)), [[0.5, 0.5], [1.0, 0.0]]) == 0.0


@pytest.mark.parametrize(
    ("seen", "now"),
    [(1.5, 1.51), ([0], [0, 1]), ({"a": 1.0}, {"b": 1.0}), ({"a": 1.0}, {"a": 2.0}), (1, True), (NAN, 1.0), (1e9, 1e9 + 2e3), ("a", "b")],
)
def test_values_that_differ_are_found(tmp_path: Path, seen: object, now: object) -> None:
    with pytest.raises(GoldenError, match="golden prediction 1"):
        difference(tmp_path, [0, seen], [0, now])


@pytest.mark.parametrize("row", [[math.nan, 0.0], [1.0, math.nan], [1.0, math.inf]])
def test_a_probability_that_is_no_number_is_found_wherever_it_stands(row: list[float]) -> None:
    golden = Golden(({"a": 1.0},), (0,), (0, 1), ((1.0, 0.0),), 1e-6)
    with pytest.raises(GoldenError, match="golden prediction 0 differs by nan"):
        replay(golden, lambda _: ([0], [row]))


def test_a_difference_tells_no_long_text(tmp_path: Path) -> None:
    with pytest.raises(GoldenError) as refused:
        difference(tmp_path, [0, "secret" * 100], [0, "other"])
    assert "secret" not in refused.value.message


@pytest.mark.hypothesis
@given(st.floats(allow_nan=True), st.floats(-1e-8, 1e-8))
def test_numbers_are_compared_by_their_size(value: float, share: float) -> None:
    near = value * (1 + share) if math.isfinite(value) else value
    assert same_value(value, near if math.isfinite(near) or not math.isfinite(value) else value)
    assert not same_value(value, value * 1.01 + 1) or not math.isfinite(value)


def test_the_numbers_of_a_vector_are_as_exact_as_its_length(tmp_path: Path) -> None:
    seen = {"output_0": 3.0, "output_1": -4.0, "output_2": 1e-5}
    near = seen | {"output_2": 1.2e-5}
    assert not same_value(seen, near), "as shares of itself, a number near zero is another"
    assert same_value(seen, near, vectors=True)
    assert not same_value(seen, seen | {"output_2": 1e-4}, vectors=True)
    assert not same_value(seen, {"output_0": 3.0}, vectors=True)
    assert not same_value(seen, near | {"output_0": math.nan}, vectors=True)
    assert not same_value([seen], [near | {"output_0": 3}], vectors=True), "a whole number is another value"
    path = tmp_path / "golden.json"
    for vectors in (True, False):
        path.write_text(json.dumps(golden_content([{"text": "a"}], [seen], [], None, vectors=vectors)))
        assert read_golden(path).vectors is vectors

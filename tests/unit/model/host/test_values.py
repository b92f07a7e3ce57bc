"""Values keep their kind on the way through JSON, to the model and back."""

from __future__ import annotations

import base64
import datetime
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.model.golden import same_value
from passerelle.model.host.values import NUMBER, decoded, encoded, is_missing

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text().filter(lambda name: name != NUMBER), inner, max_size=4)
)


@pytest.mark.hypothesis
@given(JSON)
def test_what_is_encoded_is_strict_json_and_comes_back_as_it_was(value: object) -> None:
    text = json.dumps(encoded(value), allow_nan=False)
    assert same_value(decoded(json.loads(text)), value, tolerance=0.0)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (np.float32(0.5), 0.5),
        (np.float64("nan"), {NUMBER: "NaN"}),
        (-math.inf, {NUMBER: "-Infinity"}),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.str_("é"), "é"),
        (pd.NA, None),
        (pd.NaT, None),
        (np.datetime64("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
        (np.array(["2026-01-02", "NaT"], dtype="datetime64[D]"), ["2026-01-02", None]),
        (pd.Timestamp("2026-01-02 03:04"), "2026-01-02T03:04:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (b"\x00\xff", "AP8="),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (pd.Series([1.5, None]), [1.5, {NUMBER: "NaN"}]),
        (pd.DataFrame({"a": [1], "b": ["x"]}), [{"a": 1, "b": "x"}]),
        ({"b", "a"}, ["a", "b"]),
        (pd.Categorical(["x", "y"]), ["x", "y"]),
    ],
)
def test_values_of_libraries_have_a_form(value: object, form: object) -> None:
    found = encoded(value)
    assert found == form
    assert type(found) is type(form)


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="a object has no form in JSON"):
        encoded(object())


def test_what_is_missing() -> None:
    assert all(map(is_missing, (None, math.nan, pd.NA, pd.NaT)))
    assert not any(map(is_missing, (0, "", False, "NaN", math.inf)))


@given(st.binary())
def test_bytes_are_base64(value: bytes) -> None:
    assert base64.b64decode(str(encoded(value)), validate=True) == value

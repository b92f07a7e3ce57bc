"""Records become what the model's training saw: each column of its type, and what is missing as pandas has it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.model.host.tables import Tables

TEXT_DTYPE = pd.Series(["a"]).dtype
COLUMNS = {
    "text": "string", "flag": "boolean", "small": "integer", "large": "long", "single": "float", "double": "double",
    "bytes": "binary", "when": "datetime",
}  # fmt: skip
RECORD = {
    "text": "é", "flag": True, "small": 1, "large": 2**40, "single": 0.5, "double": 1, "bytes": "AP8=", "when": "2026-01-02T03:04:05Z",
}  # fmt: skip


def tables(columns: dict[str, str], form: str = "table") -> Tables:
    return Tables([{"name": name, "type": kind} for name, kind in columns.items()], form)


def test_each_column_has_its_type() -> None:
    table = tables(COLUMNS).table([RECORD, RECORD])
    assert list(table.columns) == list(COLUMNS)
    assert [str(dtype) for dtype in table.dtypes] == [str(TEXT_DTYPE), "bool", "int32", "int64", "float32", "float64", "object", str(
        pd.Series(pd.to_datetime(["2026-01-02T03:04:05"], format="ISO8601")).dtype)]  # fmt: skip
    assert table["bytes"][0] == b"\x00\xff"
    assert table["when"][0] == pd.Timestamp("2026-01-02 03:04:05")


def test_what_is_missing_is_what_pandas_reads_it_as() -> None:
    table = tables(COLUMNS).table([RECORD, {"text": None}])
    assert table["text"].dtype == TEXT_DTYPE
    assert all(math.isnan(table[name][1]) for name in COLUMNS if name != "when")
    assert table["when"][1] is pd.NaT
    assert [str(table[name].dtype) for name in ("small", "large", "single", "double")] == ["float64", "float64", "float32", "float64"]
    alone = tables(COLUMNS).table([{}])
    assert alone["text"].dtype == TEXT_DTYPE, "a text that is left out of every record is a text still"


def test_numbers_that_json_has_no_word_for() -> None:
    table = tables({"a": "double"}).table([{"a": {"$number": "NaN"}}, {"a": {"$number": "Infinity"}}, {"a": 1}])
    assert np.array_equal(table["a"].to_numpy(), [math.nan, math.inf, 1.0], equal_nan=True)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("double", "x"), ("integer", 2**40), ("long", "1x"), ("binary", "no base64!"), ("datetime", "yesterday"), ("datetime", 7)],
)
def test_a_value_of_another_type_is_refused(kind: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        tables({"a": kind}).table([{"a": value}])


@pytest.mark.parametrize(("form", "kind"), [("list", list), ("series", pd.Series), ("array", np.ndarray)])
def test_a_text_column_alone(form: str, kind: Any) -> None:
    found: Any = tables({"text": "string"}, form).table([{"text": "a"}, {"text": None}])
    assert isinstance(found, kind)
    assert found[0] == "a"
    assert math.isnan(found[1])


@pytest.mark.hypothesis
@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.floats(width=32), st.booleans()), min_size=1, max_size=5))
def test_a_matrix_holds_what_the_table_holds(rows: list[tuple[int, float, bool]]) -> None:
    made = tables({"a": "integer", "b": "float", "c": "boolean"})
    records: list[dict[str, object]] = [dict(zip("abc", row, strict=True)) for row in rows]
    matrix = made.matrix(records)
    assert np.array_equal(matrix, made.table(records).astype("float64").to_numpy(), equal_nan=True)

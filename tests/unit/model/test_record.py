"""The columns and params of a signature, of models that passerelle trained and of adopted ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passerelle.errors import UsageError
from passerelle.model.record import Column, Param, columns_of, params_of


def signature(*inputs: dict[str, Any]) -> dict[str, str]:
    return {"inputs": json.dumps(inputs)}


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    return {"name": "x", "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *shape]}}


DATE = {"name": "at", "type": "datetime"}
ARRAY = {"name": "sizes", "type": "array", "items": {"type": "array", "items": {"type": "double"}}, "required": False}


@pytest.mark.parametrize(
    ("entry", "column", "example"),
    [
        (DATE, Column("at", "datetime"), "2026-11-26T12:00:00"),
        ({"name": "scan", "type": "binary"}, Column("scan", "binary"), "UGFyaXM="),
        (ARRAY, Column("sizes", "array<array<double>>", required=False), [[1.0]]),
        (tensor("float32", 3), Column("x", "array<float>", lengths=(3,)), [1.0, 1.0, 1.0]),
        (tensor("int64", 2, -1), Column("x", "array<array<long>>", lengths=(2, None)), [[1], [1]]),
        (tensor("bool"), Column("x", "boolean"), True),
    ],
)
def test_an_adopted_model_takes_dates_bytes_and_arrays(entry: dict[str, Any], column: Column, example: object) -> None:
    assert columns_of(signature(entry), adopted=True) == (column,)
    assert column.example == example


def test_a_column_says_what_its_arrays_hold() -> None:
    column = Column("sizes", "array<array<double>>")
    assert (column.scalar, column.depth) == ("double", 2)
    assert (Column("text", "string").scalar, Column("text", "string").depth) == ("string", 0)


@pytest.mark.parametrize("entry", [DATE, ARRAY, tensor("float32", 3)])
def test_a_trained_model_takes_none_of_them(entry: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"which no record can hold: train it on text or numbers|named columns"):
        columns_of(signature(entry))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a", "type": "object", "properties": {}}, "of type object, which no record can hold"),
        ({"name": "a", "type": "array", "items": {"type": "map"}}, "of type array<map>, which no record can hold"),
        (tensor("float32", 1, 1, 1, 1, 1), "which no record can hold"),
        ({"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}, "no signature with named columns"),
        (tensor("complex64"), "no signature with named columns"),
        ({"name": "a", "type": "array"}, "no signature with named columns"),
    ],
)
def test_what_no_record_can_hold_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        columns_of(signature(entry), adopted=True)


def test_params_are_read_and_objects_keep_their_defaults() -> None:
    params = [
        {"name": "temperature", "type": "double", "default": 0.5, "shape": None},
        {"name": "stop", "dtype": "string", "default": ["a"], "shape": [-1]},
        {"name": "options", "type": "object", "properties": {}, "default": {}},
    ]
    found = params_of({"params": json.dumps(params)})
    assert found == (Param("temperature", "double", 0.5), Param("stop", "string", ["a"], is_list=True))
    assert params_of({}) == params_of({"params": "null"}) == ()
    with pytest.raises(UsageError, match="cannot be read"):
        params_of({"params": "[3]"})

"""The record that a model takes: the columns of its signature, and the params beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passerelle.errors import UsageError

#: What a record of a model that passerelle trained can hold.
_COLUMN_TYPES = frozenset({"string", "boolean", "integer", "long", "float", "double"})
#: What a record of an adopted model can hold beside that, alone or as the items of an array.
_ADOPTED_TYPES = _COLUMN_TYPES | {"datetime", "binary"}
_ARRAY = "array"
#: Most arrays inside of each other.
_DEEPEST = 4
#: The example of a column of each type: nothing of the data, which everybody may read.
EXAMPLES: Mapping[str, str | bool | int | float] = {
    "string": "Aucune réponse depuis trois mois",
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "datetime": "2026-11-26T12:00:00",
    "binary": "UGFyaXM=",
}
#: The type of a column by the numpy type of a tensor.
_OF_TENSORS: Mapping[str, str] = {
    "bool": "boolean",
    **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), "integer"),
    **dict.fromkeys(("int64", "uint32", "uint64"), "long"),
    **dict.fromkeys(("float16", "float32"), "float"),
    "float64": "double",
    **dict.fromkeys(("str", "object"), "string"),
}


@dataclass(frozen=True)
class Column:
    """One field of the record, as the signature names it.

    Attributes:
        type: MLflow's name of the type; of arrays with that of their items, such as `array<double>`.
        lengths: Of a tensor's arrays, the outer one first; None where any length will do. Empty for other columns.
        empty_without: Whether a record that leaves it out has an empty text there, as those that the model learned from had.
    """

    name: str
    type: str
    required: bool = True
    lengths: tuple[int | None, ...] = ()
    empty_without: bool = False

    @property
    def scalar(self) -> str:
        """The type of its values, or of the innermost items of its arrays."""
        return self.type.rpartition("<")[2].rstrip(">")

    @property
    def depth(self) -> int:
        """How many arrays are inside of each other; 0 for a column without arrays."""
        return self.type.count("<")

    @property
    def example(self) -> object:
        """A value that the column takes."""
        value: object = EXAMPLES[self.scalar]
        for length in reversed(self.lengths or (1,) * self.depth):
            value = [value] * (length or 1)
        return value


@dataclass(frozen=True)
class Param:
    """One parameter of the signature.

    Attributes:
        type: MLflow's name of the type; of a list, that of its items.
        default: What holds where a request does not say.
        is_list: Whether it is a list.
    """

    name: str
    type: str
    default: object
    is_list: bool = False


def columns_of(signature: Mapping[str, Any], *, adopted: bool = False) -> tuple[Column, ...]:
    """Return the columns that an MLflow signature names.

    Args:
        adopted: Whether the model has a process of its own, which decodes dates, bytes and arrays.

    Raises:
        UsageError: There are none, they have no names, or one is of a type that no record can hold.
    """
    try:
        columns = tuple(_column(entry, adopted=adopted) for entry in json.loads(signature["inputs"]))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        way_out = "log it with mlflow.sklearn.log_model(…, signature=…) over a table with named columns"
        raise UsageError(f"the model has no signature with named columns; {way_out}") from error
    taken, deepest = (_ADOPTED_TYPES, _DEEPEST) if adopted else (_COLUMN_TYPES, 0)
    way_out = "drop it, or name another type" if adopted else "train it on text or numbers"
    for column in columns:
        if column.scalar not in taken or column.depth > deepest:
            raise UsageError(f"the column '{column.name}' is of type {column.type}, which no record can hold: {way_out}")
    if not columns:
        raise UsageError("the model's signature has no columns; log it with a signature")
    return columns


def params_of(signature: Mapping[str, Any]) -> tuple[Param, ...]:
    """Return the parameters that an MLflow signature names and a request can hold; the default of any other one holds.

    Raises:
        UsageError: They cannot be read.
    """
    try:
        entries = json.loads(signature.get("params") or "[]") or []
        return tuple(param for param in map(_param, entries) if param.type in _ADOPTED_TYPES)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError("the params of the model's signature cannot be read; log it with a signature of mlflow.models") from error


def _param(entry: Mapping[str, Any]) -> Param:
    return Param(str(entry["name"]), str(entry.get("type") or entry["dtype"]), entry["default"], bool(entry.get("shape")))


def _column(entry: Mapping[str, Any], *, adopted: bool) -> Column:
    required = bool(entry.get("required", True))
    if entry["type"] == "tensor" and adopted:
        tensor = entry["tensor-spec"]
        lengths = tuple(None if length < 0 else int(length) for length in tensor["shape"][1:])
        return Column(str(entry["name"]), _array_of(_OF_TENSORS[tensor["dtype"]], len(lengths)), required, lengths)
    return Column(str(entry["name"]), _type_of(entry), required)


def _type_of(entry: Mapping[str, Any]) -> str:
    kind = str(entry["type"])
    return _array_of(_type_of(entry["items"]), 1) if kind == _ARRAY else kind


def _array_of(items: str, depth: int) -> str:
    return f"{_ARRAY}<" * depth + items + ">" * depth

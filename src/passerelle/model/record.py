"""The record that a model takes: the columns of its signature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from passerelle.errors import UsageError

ColumnType = Literal["string", "boolean", "integer", "long", "float", "double"]
_COLUMN_TYPES = frozenset({"string", "boolean", "integer", "long", "float", "double"})
#: The example of a column of each type: nothing of the data, which everybody may read.
EXAMPLES: Mapping[ColumnType, str | bool | int | float] = {
    "string": "Aucune réponse depuis trois mois",
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
}


@dataclass(frozen=True)
class Column:
    """One field of the record, as the signature names it."""

    name: str
    type: ColumnType
    required: bool = True


def columns_of(signature: dict[str, Any]) -> tuple[Column, ...]:
    """Return the columns that an MLflow signature names.

    Raises:
        UsageError: There are none, they have no names, or one is of a type that no record can hold.
    """
    try:
        entries = json.loads(signature["inputs"])
        columns = tuple(Column(str(entry["name"]), entry["type"], bool(entry.get("required", True))) for entry in entries)
    except (KeyError, TypeError, ValueError) as error:
        way_out = "log it with mlflow.sklearn.log_model(…, signature=…) over a table with named columns"
        raise UsageError(f"the model has no signature with named columns; {way_out}") from error
    for column in columns:
        if column.type not in _COLUMN_TYPES:
            raise UsageError(
                f"the column « {column.name} » is of type {column.type}, which no record can hold: train it on text or numbers"
            )
    if not columns:
        raise UsageError("the model's signature has no columns; log it with a signature")
    return columns

"""The pydantic models of records, batches and params, made from a model's signature."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from passerelle.model.record import Column, Param
from passerelle.serving.field_types import ValueLimits, field_type, param_type

#: What becomes of fields that no column has.
Extra = Literal["ignore", "forbid"]
PARAMS, RECORDS = "params", "records"


def field_of_column(column: Column, limits: ValueLimits) -> Any:
    """Return the type and the default of a column's field."""
    default: dict[str, Any] = {} if column.required else {"default": "" if column.empty_without else None}
    return (field_type(column, limits), Field(**default, alias=column.name))


def model_of_batch(record: Any, params: Any, max_records: int, example: Mapping[str, object] | None) -> type[BaseModel]:
    """Return the pydantic model of a batch.

    Args:
        record, params: The pydantic models of a record and of the params; None for a model without params.
    """
    extra: dict[str, Any] = {"example": {RECORDS: [dict(example)]}} if example else {}
    beside: dict[str, Any] = {} if params is None else {PARAMS: field_of_params(params, PARAMS)}
    return create_model(
        "Records",
        __config__=ConfigDict(extra="forbid", strict=True, json_schema_extra=extra),
        __doc__="Several records, answered in their order.",
        records=(Annotated[list[record], Field(min_length=1, max_length=max_records)], ...),
        **beside,
    )


def model_of_params(params: Sequence[Param], limits: ValueLimits, extra: Extra) -> Any:
    """Return the pydantic model of the params, each with its default."""
    fields: dict[str, Any] = {
        f"param_{place}": (param_type(param, limits), Field(default=param.default, alias=param.name)) for place, param in enumerate(params)
    }
    config = ConfigDict(extra=extra, strict=True, protected_namespaces=())
    return create_model("Params", __config__=config, __doc__="The parameters of the model's signature.", **fields)


def field_of_params(model: Any, alias: str) -> Any:
    """Return the field of the params, which may be left out: each has a default."""
    return model, Field(default_factory=model, alias=alias)


def record_with_params(record: Any, **field: Any) -> type[BaseModel]:
    """Return the pydantic model of a record that holds the params too."""
    name, text = "RecordWithParams", "One record, and the params that hold for it."
    model: type[BaseModel] = create_model(name, __base__=record, __doc__=text, **field)
    return model


def attributes_of(columns: Sequence[Column]) -> dict[str, Column]:
    """Return the columns by Python names: their own where those can be one."""
    names = {column.name for column in columns}
    attributes: dict[str, Column] = {}
    for place, column in enumerate(columns):
        name = column.name
        usable = name.isidentifier() and not name.startswith("_") and not hasattr(BaseModel, name) and not keyword.iskeyword(name)
        attributes[name if usable else unused_name(f"field_{place}", names)] = column
    return attributes


def unused_name(name: str, names: Sequence[str] | set[str]) -> str:
    """Return a name that is none of these: the given one, or with underscores behind."""
    while name in names:
        name += "_"
    return name

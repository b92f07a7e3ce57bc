"""What a field of a record accepts, by the type of its column in the model's signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from passerelle.model.record import Column, Param

#: The kinds of mistakes that these types find by themselves, with their sentences.
MESSAGES: Mapping[str, str] = {
    "not_iso": "must be a date, or a date and a time, in ISO 8601",
    "string_pattern_mismatch": "must be base64",
}


def _whole(value: object) -> object:
    """Return a number without a fraction as an integer: 3.0 is one in JSON, and MLflow's scoring server takes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_NUMBERS: Mapping[str, Any] = {
    "boolean": bool,
    "integer": Annotated[int, Field(ge=-(2**31), lt=2**31), BeforeValidator(_whole)],
    "long": Annotated[int, Field(ge=-(2**63), lt=2**63), BeforeValidator(_whole)],
    "float": Annotated[float, Field(allow_inf_nan=False)],
    "double": Annotated[float, Field(allow_inf_nan=False)],
}
_BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_LONGEST_TIME = 40
#: A day, and perhaps a time of it with a fraction and an offset: of ISO 8601, what RFC 3339 has, the offset left out or not.
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_ISO_SCHEMA = {
    "description": "ISO 8601: a date, or a date and a time, with or without an offset.",
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
}


class ValueLimits(NamedTuple):
    """The largest values of one field.

    Attributes:
        text_characters: Of a text.
        binary_bytes: Of a binary value, once decoded.
        array_items: Of an array.
    """

    text_characters: int
    binary_bytes: int
    array_items: int


def field_type(column: Column, limits: ValueLimits) -> Any:
    """Return the type of the values of a column, for a strict pydantic model."""
    if column.empty_without:
        return Annotated[_scalar("string", limits, None) | None, AfterValidator(_text_or_empty)]
    kind: Any = _scalar(column.scalar, limits, not_blank)
    for place in reversed(range(column.depth)):
        length = column.lengths[place] if column.lengths else None
        sizes = Field(max_length=limits.array_items) if length is None else Field(min_length=length, max_length=length)
        kind = Annotated[_list_of(kind), sizes]
    return kind if column.required else kind | None


def _text_or_empty(text: str | None) -> str:
    """Return the text of a field that may be left out: null, and nothing but space, are an empty one."""
    return "" if text is None or text.isspace() else text


def param_type(param: Param, limits: ValueLimits) -> Any:
    """Return the type of a parameter; its text may be empty, and where its default is null so may it be."""
    kind: Any = _scalar(param.type, limits, None)
    if param.is_list:
        kind = Annotated[_list_of(kind), Field(max_length=limits.array_items)]
    return kind if param.default is not None else kind | None


def _list_of(items: Any) -> Any:
    return list.__class_getitem__(items)


def _scalar(kind: str, limits: ValueLimits, text_check: Any) -> Any:
    if kind == "string":
        if text_check is None:
            return Annotated[str, StringConstraints(strict=True, max_length=limits.text_characters)]
        constraints = StringConstraints(strict=True, min_length=1, max_length=limits.text_characters)
        return Annotated[str, constraints, AfterValidator(text_check)]
    if kind == "datetime":
        constraints = StringConstraints(strict=True, max_length=_LONGEST_TIME)
        return Annotated[str, constraints, AfterValidator(iso_time), WithJsonSchema(_ISO_SCHEMA)]
    if kind == "binary":
        longest = -(-limits.binary_bytes // 3) * 4
        constraints = StringConstraints(strict=True, max_length=longest, pattern=_BASE64)
        return Annotated[str, constraints, Field(json_schema_extra={"contentEncoding": "base64"})]
    return _NUMBERS[kind]


def not_blank(text: str) -> str:
    """Return the text unless there is nothing in it but space.

    Raises:
        ValueError: There is nothing in it but space.
    """
    if text.isspace():
        raise ValueError("blank")
    return text


def iso_time(text: str) -> str:
    """Return the text if it names a day, or a time of a day.

    Raises:
        PydanticCustomError: It names none.
    """
    found = _ISO.fullmatch(text)
    day, clock, offset = found.groups() if found is not None else ("", "", "")
    try:
        # Without its fraction, of which Python takes other lengths.
        datetime.fromisoformat(f"{day}T{clock}{offset or ''}" if clock else day)
    except ValueError:
        raise PydanticCustomError("not_iso", "not a time") from None
    return text

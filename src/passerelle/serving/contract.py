"""What a request may hold: schemas made from the model's signature, and one error envelope."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from passerelle.model.record import Column, Param
from passerelle.serving.field_types import MESSAGES, ValueLimits
from passerelle.serving.record_models import (
    PARAMS,
    RECORDS,
    Extra,
    attributes_of,
    field_of_column,
    field_of_params,
    model_of_batch,
    model_of_params,
    record_with_params,
    unused_name,
)
from passerelle.serving.structure import SMALL_BYTES, TOO_MANY_DIGITS, Excess, Structure, run_at_once

#: Values by name.
Values = Mapping[str, object]
_MAX_BINARY_BYTES, _MAX_ARRAY_ITEMS = 524_288, 50_000


class ErrorAnswer(BaseModel):
    """The body of every refusal; never repeats the input."""

    code: str = Field(description="Stable name of what is wrong, for programs.")
    message: str = Field(description="One sentence for people.")
    field: str | None = Field(default=None, description="The field that is wrong, if there is one.")
    request_id: str = Field(description="Names this request in the access log.")


@dataclass(eq=False)
class RequestError(Exception):
    """A request that is refused, as it is answered."""

    status: int
    code: str
    message: str
    field: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Contract:
    """The request schemas of one model.

    Attributes:
        record: The pydantic model of one record; its fields are the columns of the signature.
        batch: The pydantic model of `{"records": [...]}`.
        columns: The fields' names, in the order of the signature.
        renamed: Column of each attribute, for columns that cannot be a Python name; empty when all can.
        structure, batch_structure: The most that the body of one record, and of a batch, holds.
        params_field: The field beside the columns that holds the params of the signature; None where it has none.
        params_attribute: The name of that field in the pydantic model of a record.
        params: Of the signature.
    """

    record: type[BaseModel]
    batch: type[BaseModel]
    columns: tuple[str, ...]
    renamed: Mapping[str, str]
    structure: Structure
    batch_structure: Structure
    params_field: str | None = None
    params_attribute: str = ""
    params: Sequence[Param] = ()

    def read_one(self, body: bytes) -> tuple[dict[str, object], Values | None]:
        """Return the record of a body, and the params that hold for it; None for a model without params.

        Raises:
            RequestError: 400 for what is not JSON, 422 for what is not a record; names the field.
        """
        return self._with_params(self._record_of(body))

    def read_one_in_slices(self, body: bytes) -> Generator[None, None, tuple[dict[str, object], Values | None]]:
        """Return what `read_one` returns; yields between the pieces of a large body while they are counted.

        Raises:
            RequestError: As `read_one`.
        """
        if len(body) > SMALL_BYTES:
            yield from self.refuse_excess(body, self.structure)
        return self._with_params(self._counted_record(body))

    def read_several(self, body: bytes) -> tuple[list[dict[str, object]], Values | None]:
        """Return the records of a body, and the params that hold for all of them; None for a model without params.

        Raises:
            RequestError: As `read_one`.
        """
        if len(body) > SMALL_BYTES:
            run_at_once(self.refuse_excess(body, self.batch_structure))
        return self.read_counted(body)

    def read_counted(self, body: bytes) -> tuple[list[dict[str, object]], Values | None]:
        """Return what `read_several` returns, of a body that holds no more values than a batch can.

        Raises:
            RequestError: As `read_one`.
        """
        try:
            batch: Any = self.batch.__pydantic_validator__.validate_json(body)
        except ValidationError as error:
            raise request_error_of(error) from None
        return [self.fields(record) for record in batch.records], self.params_of(getattr(batch, PARAMS, None))

    def fields(self, record: BaseModel) -> dict[str, object]:
        """Return the values of a record by the names of their columns."""
        return self.parted(record.__dict__)[0]

    def parted(self, values: dict[str, Any]) -> tuple[dict[str, object], Values | None]:
        """Return the values of a record by the names of their columns, and the params beside them.

        Args:
            values: By the attributes of a record's pydantic model.
        """
        params: Values | None = None
        if self.params_field is not None:
            params = self.params_of(values.get(self.params_attribute))
            values = {name: value for name, value in values.items() if name != self.params_attribute}
        if self.renamed:
            values = {self.renamed.get(name, name): value for name, value in values.items()}
        return values, params

    def params_of(self, params: BaseModel | None) -> Values | None:
        """Return the params of a request by their names; None for a model without params."""
        return None if params is None else params.model_dump(by_alias=True)

    def _with_params(self, record: BaseModel) -> tuple[dict[str, object], Values | None]:
        values = record.__dict__
        return (values, None) if self.params_field is None and not self.renamed else self.parted(values)

    def _record_of(self, body: bytes) -> BaseModel:
        if len(body) > SMALL_BYTES:
            run_at_once(self.refuse_excess(body, self.structure))
        return self._counted_record(body)

    def _counted_record(self, body: bytes) -> BaseModel:
        try:
            record: BaseModel = self.record.__pydantic_validator__.validate_json(body)
        except ValidationError as error:
            raise request_error_of(error) from None
        return record

    def refuse_excess(self, body: bytes, structure: Structure) -> Generator[None]:
        """Refuse a body with more values than the schema allows, before the parser builds all of it; yields between its pieces.

        Raises:
            RequestError: 422; other mistakes are found by the schema.
        """
        excess = yield from structure.excess_in_slices(body)
        if excess is Excess.RECORDS:
            raise RequestError(422, "too_many_records", f"has more than {structure.records} records", RECORDS)
        if excess is Excess.VALUES:
            unknown = structure.unknown_field(body)
            if unknown is not None:
                raise RequestError(422, "invalid_record", _MESSAGES["extra_forbidden"], unknown[:_LONGEST_FIELD])
            raise RequestError(422, "invalid_record", "has more values than a record has fields")
        if excess is Excess.DIGITS:
            raise RequestError(422, "invalid_record", TOO_MANY_DIGITS)


def contract_of(
    columns: Sequence[Column],
    *,
    max_text_characters: int,
    max_records: int,
    example: Mapping[str, object] | None,
    params: Sequence[Param] = (),
    max_binary_bytes: int = _MAX_BINARY_BYTES,
    max_array_items: int = _MAX_ARRAY_ITEMS,
    ignore_extra: bool = False,
) -> Contract:
    """Return the request schemas for records with these columns.

    Args:
        max_text_characters: Longest text of one field.
        max_records: Most records of one batch.
        example: A record that is accepted, for the documentation.
        params: Of the signature.
        max_binary_bytes: Longest binary value of one field, once decoded.
        max_array_items: Most items of all arrays of a request together.
        ignore_extra: Whether fields that no column has are left out, rather than refused.
    """
    limits = ValueLimits(max_text_characters, max_binary_bytes, max_array_items)
    extra: Extra = "ignore" if ignore_extra else "forbid"
    attributes = attributes_of(columns)
    names = tuple(column.name for column in columns)
    params_field, params_attribute = unused_name(PARAMS, names), unused_name(PARAMS, (*names, *attributes))
    params_model = model_of_params(params, limits, extra) if params else None
    fields: dict[str, Any] = {attribute: field_of_column(column, limits) for attribute, column in attributes.items()}
    documented: dict[str, Any] = {"example": dict(example)} if example else {}
    config = ConfigDict(extra=extra, strict=True, json_schema_extra=documented, protected_namespaces=())
    plain: Any = create_model("Record", __config__=config, __doc__="One record: the columns of the model's signature.", **fields)
    batch = model_of_batch(plain, params_model, max_records, example)
    record: type[BaseModel] = plain
    if params_model is not None:
        record = record_with_params(plain, **{params_attribute: field_of_params(params_model, params_field)})
    renamed = {attribute: column.name for attribute, column in attributes.items() if attribute != column.name}
    structure = Structure.of(columns, params, params_field, max_array_items=max_array_items, ignore_extra=ignore_extra)
    batch_structure = structure.for_batch(max_records)
    return Contract(record, batch, names, renamed, structure, batch_structure, params_field if params else None, params_attribute, params)


_MESSAGES = {
    "missing": "a required field is missing",
    "extra_forbidden": "this field is not part of the record",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "string_unicode": "is not valid Unicode",
    "value_error": "must hold more than space",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "label_type": "must be a label as answers have it",
    **MESSAGES,
}
_LONGEST_FIELD = 80
MOST_MISTAKES = 100


def request_error_of(error: ValidationError, *, records_before: int | None = None) -> RequestError:
    """Return the refusal for the first problem; it names the field, never its content.

    Args:
        records_before: How many records of a batch come before the list that was validated; None where it was no list of records.
    """
    if error.error_count() > MOST_MISTAKES:  # listing all of them would delay other requests
        return too_many_mistakes()
    first = error.errors(include_input=False, include_url=False)[0]
    kind, place = str(first["type"]), first["loc"]
    if kind == "json_invalid":
        return no_json()
    if records_before is not None and place:
        place = (RECORDS, records_before + int(place[0]), *place[1:])
    field = ".".join(str(part) for part in place)
    context = first.get("ctx", {})
    if kind == "too_long" and place == (RECORDS,):
        return RequestError(422, "too_many_records", f"has more than {context.get('max_length')} records", field)
    return RequestError(422, "invalid_record", _message(kind, place, context), field[:_LONGEST_FIELD] or None)


def no_json() -> RequestError:
    """Return the refusal of a body that is not JSON."""
    return RequestError(400, "malformed_json", "the body is not JSON")


def too_many_mistakes() -> RequestError:
    """Return the refusal of a body with more mistakes than are listed."""
    return RequestError(422, "invalid_record", f"has more than {MOST_MISTAKES} mistakes")


def _message(kind: str, place: Sequence[object], context: Mapping[str, object]) -> str:
    if kind == "string_too_long":
        return f"is longer than {context.get('max_length')} characters"
    if kind == "too_long":
        return f"has more than {context.get('max_length')} items"
    if kind == "too_short":
        return "must hold at least one record" if place == (RECORDS,) else f"has fewer than {context.get('min_length')} items"
    if kind.startswith(("greater_than", "less_than", "int_parsing")):
        return "is out of range"
    if kind == "extra_forbidden" and len(place) > 1 and str(place[0]).rstrip("_") == PARAMS:
        return "the model has no such parameter"
    return _MESSAGES.get(kind, "is not acceptable")

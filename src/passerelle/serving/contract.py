"""What /classify accepts and answers: schemas made from the model's signature, and one error envelope."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model

from passerelle.model.record import Column
from passerelle.serving.structure import SMALL_BYTES, Excess, Structure

_NUMBERS: Mapping[str, Any] = {
    "boolean": bool,
    "integer": Annotated[int, Field(ge=-(2**31), lt=2**31)],
    "long": Annotated[int, Field(ge=-(2**63), lt=2**63)],
    "float": Annotated[float, Field(allow_inf_nan=False)],
    "double": Annotated[float, Field(allow_inf_nan=False)],
}


class LabelProbability(BaseModel):
    """One class with its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class Prediction(BaseModel):
    """The answer to one record."""

    label: str = Field(description="The class that the model gives.")
    probability: float | None = Field(description="Its probability; null for a model without probabilities.")
    top: list[LabelProbability] = Field(description="The best three classes, the most probable first.")
    model_version: str = Field(description="The version of the registered model that gave this answer.")
    prediction_id: str = Field(description="Names this answer in logs, feedback and traces.")
    review: bool = Field(description="Whether a person should look: the probability is under the review threshold.")


class BatchPrediction(BaseModel):
    """The answers to the records of a batch, in their order."""

    predictions: list[Prediction]


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
        most_records: Most records of one batch.
    """

    record: type[BaseModel]
    batch: type[BaseModel]
    columns: tuple[str, ...]
    renamed: Mapping[str, str]
    most_records: int

    def read_record(self, body: bytes) -> dict[str, object]:
        """Return the record of a body.

        Raises:
            RequestError: 400 for what is not JSON, 422 for what is not a record; names the field.
        """
        if len(body) > SMALL_BYTES:
            self._refuse_excess(body, Structure(0, self.columns))
        try:
            return self.fields(self.record.__pydantic_validator__.validate_json(body))
        except ValidationError as error:
            raise request_error_of(error) from None

    def read_batch(self, body: bytes) -> list[dict[str, object]]:
        """Return the records of a body.

        Raises:
            RequestError: As `read_record`.
        """
        if len(body) > SMALL_BYTES:
            self._refuse_excess(body, Structure(self.most_records, self.columns))
        try:
            return [self.fields(record) for record in self.batch.__pydantic_validator__.validate_json(body).records]
        except ValidationError as error:
            raise request_error_of(error) from None

    def _refuse_excess(self, body: bytes, structure: Structure) -> None:
        """Refuse a body with more values than the schema allows, before the parser builds all of it.

        Raises:
            RequestError: 422; other mistakes are found by the schema.
        """
        excess = structure.excess(body)
        if excess is Excess.RECORDS:
            raise RequestError(422, "too_many_records", f"has more than {self.most_records} records", "records")
        if excess is Excess.VALUES:
            unknown = structure.unknown_field(body)
            if unknown is not None:
                raise RequestError(422, "invalid_record", _MESSAGES["extra_forbidden"], unknown[:_LONGEST_FIELD])
            raise RequestError(422, "invalid_record", "has more values than a record has fields")
        if excess is Excess.DIGITS:
            raise RequestError(422, "invalid_record", "holds a number of 1000 digits or more")

    def fields(self, record: BaseModel) -> dict[str, object]:
        """Return the values of a record by the names of their columns."""
        values = record.__dict__
        return {self.renamed.get(name, name): value for name, value in values.items()} if self.renamed else values


def contract_of(columns: Sequence[Column], *, max_text_characters: int, max_records: int, example: Mapping[str, object] | None) -> Contract:
    """Return the request schemas for records with these columns.

    Args:
        max_text_characters: Longest text of one field.
        max_records: Most records of one batch.
        example: A record that is accepted, for the documentation.
    """
    text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=max_text_characters), AfterValidator(not_blank)]
    types = {column.name: text if column.type == "string" else _NUMBERS[column.type] for column in columns}
    attributes = {_attribute(column.name, place): column for place, column in enumerate(columns)}
    fields: dict[str, Any] = {
        attribute: (types[column.name], Field(alias=column.name))
        if column.required
        else (types[column.name] | None, Field(default=None, alias=column.name))
        for attribute, column in attributes.items()
    }
    extra: dict[str, Any] = {"example": dict(example)} if example else {}
    batch_extra: dict[str, Any] = {"example": {"records": [dict(example)]}} if example else {}
    config = ConfigDict(extra="forbid", strict=True, json_schema_extra=extra, protected_namespaces=())
    record = create_model("Record", __config__=config, __doc__="One record: the columns of the model's signature.", **fields)
    batch = create_model(
        "Records",
        __config__=ConfigDict(extra="forbid", strict=True, json_schema_extra=batch_extra),
        __doc__="Several records, answered in their order.",
        records=(Annotated[list[record], Field(min_length=1, max_length=max_records)], ...),
    )
    renamed = {attribute: column.name for attribute, column in attributes.items() if attribute != column.name}
    return Contract(record, batch, tuple(column.name for column in columns), renamed, max_records)


def _attribute(name: str, place: int) -> str:
    """Return a Python name for a column: its own where that can be one."""
    usable = name.isidentifier() and not name.startswith("_") and not hasattr(BaseModel, name) and not keyword.iskeyword(name)
    return name if usable else f"field_{place}"


def not_blank(text: str) -> str:
    """Return the text unless there is nothing in it but space.

    Raises:
        ValueError: There is nothing in it but space.
    """
    if text.isspace():
        raise ValueError("blank")
    return text


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
}
_LONGEST_FIELD = 80
_MOST_ERRORS = 100


def request_error_of(error: ValidationError) -> RequestError:
    """Return the refusal for the first problem; it names the field, never its content."""
    if error.error_count() > _MOST_ERRORS:  # listing all of them would delay other requests
        return RequestError(422, "invalid_record", f"has more than {_MOST_ERRORS} mistakes")
    first = error.errors(include_input=False, include_url=False)[0]
    kind = str(first["type"])
    if kind == "json_invalid":
        return RequestError(400, "malformed_json", "the body is not JSON")
    field = ".".join(str(part) for part in first["loc"])
    context = first.get("ctx", {})
    message = _MESSAGES.get(kind, "is not acceptable")
    if kind == "string_too_long":
        message = f"is longer than {context.get('max_length')} characters"
    elif kind == "too_long":
        return RequestError(422, "too_many_records", f"has more than {context.get('max_length')} records", field)
    elif kind == "too_short":
        message = "must hold at least one record"
    elif kind.startswith(("greater_than", "less_than", "int_parsing")):
        message = "is out of range"
    return RequestError(422, "invalid_record", message, field[:_LONGEST_FIELD] or None)

"""The check of a table's records: that of a request to /classify, message for message."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from passerelle.batch.scored_split import ReadRecord, RowFault
from passerelle.model.loaded import LoadedModel
from passerelle.model.text_limits import text_fault
from passerelle.monitoring.redaction import redact
from passerelle.serving.contract import RequestError, contract_of, request_error_of
from passerelle.serving.record_texts import RecordTexts
from passerelle.settings import ServiceSettings


def record_reader(model: LoadedModel, settings: ServiceSettings) -> ReadRecord:
    """Return what makes a record of the cells of a row, or says why the service would refuse it."""
    columns = model.description.columns
    contract = contract_of(columns, max_text_characters=settings.max_text_characters, max_records=1, example=None)
    texts = RecordTexts(
        [column.name for column in columns if column.type == "string"],
        most_characters=settings.max_text_characters,
        most_batch_characters=settings.max_batch_characters,
    )
    names = tuple(column.name for column in columns)
    needed = model.scorer.columns if model.scorer is not None else ()
    validate = contract.record.__pydantic_validator__.validate_python

    only_texts = all(column.type == "string" and column.required for column in columns)
    is_plain = partial(_is_plain, most_characters=settings.max_text_characters)

    def read(cells: Mapping[str, Any]) -> Mapping[str, Any] | RowFault:
        if only_texts and all(is_plain(cells.get(name)) for name in names):
            return cells if len(cells) == len(names) else {name: cells[name] for name in names}
        try:
            record = contract.fields(validate({name: cells[name] for name in names if name in cells}))
            texts.size_bytes(record)
        except ValidationError as error:
            refused = request_error_of(error)
            return RowFault(refused.message, refused.field)
        except RequestError as error:
            return RowFault(error.message, error.field)
        without = next((name for name in needed if not isinstance(record.get(name), str)), None)
        return record if without is None else RowFault("must be a text: the model reads it", without)

    return read


def _is_plain(value: object, *, most_characters: int) -> bool:
    """Return whether the contract accepts a text as it is; of any other value, the contract itself finds what is wrong."""
    if not isinstance(value, str) or not 0 < len(value) <= most_characters or value.isspace():
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return text_fault(value, most_characters=most_characters) is None


def redacted(text: str) -> str:
    """Return a text of a record as the prediction log holds it: with personal data replaced by rules."""
    return redact(text).text

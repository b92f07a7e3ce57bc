"""The check of a table's records: that of a request to /classify, message for message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from passerelle.batch.scored_split import ReadRecords
from passerelle.batch.split_rows import RowFault
from passerelle.model.loaded import LoadedModel
from passerelle.model.text_limits import EXPANSION, LONGEST_DECOMPOSITION, is_unicode, text_fault
from passerelle.monitoring.redaction import redact
from passerelle.scorer.record_columns import RecordColumns
from passerelle.serving.contract import RequestError, contract_of, request_error_of
from passerelle.serving.record_texts import RecordTexts
from passerelle.settings import ServiceSettings


def record_reader(model: LoadedModel, settings: ServiceSettings) -> ReadRecords:
    """Return what makes records of the cells of some rows, or says why the service would refuse one."""
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
    most = settings.max_text_characters

    def read_one(cells: Mapping[str, Any]) -> Mapping[str, Any] | RowFault:
        if only_texts and all(_is_plain(cells.get(name), most_characters=most) for name in names):
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

    def read(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any] | RowFault]:
        if only_texts and rows:
            values = {name: _values(rows, name) for name in names}
            if all(_are_plain(column, most_characters=most) for column in values.values()):
                return RecordColumns(values, len(rows))
        return [read_one(cells) for cells in rows]

    return read


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> Sequence[object]:
    if isinstance(rows, RecordColumns):
        return rows.columns[name]
    return [cells.get(name) for cells in rows]


def _are_plain(values: Sequence[object], *, most_characters: int) -> bool:
    """Return whether `_is_plain` is true of each value; may be false though it is, where texts are long or hold combining marks."""
    if not all(isinstance(value, str) for value in values):
        return False
    texts = cast("Sequence[str]", values)
    longest = max(map(len, texts), default=0)
    if not all(texts) or longest * LONGEST_DECOMPOSITION > EXPANSION * most_characters or any(map(str.isspace, texts)):
        return False
    together = "".join(texts)
    # No text is long enough to be too long once it is decomposed: what is left to be found is a run of marks.
    return is_unicode(together) and text_fault(together, most_characters=len(together) * LONGEST_DECOMPOSITION) is None


def _is_plain(value: object, *, most_characters: int) -> bool:
    """Return whether the contract accepts a text as it is; of any other value, the contract itself finds what is wrong."""
    if not isinstance(value, str) or not 0 < len(value) <= most_characters or value.isspace():
        return False
    return is_unicode(value) and text_fault(value, most_characters=most_characters) is None


def redacted(text: str) -> str:
    """Return a text of a record as the prediction log holds it: with personal data replaced by rules."""
    return redact(text).text

"""Reads the body of a batch in slices: to validate 1,000 records at once would hold the event loop for two milliseconds."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from passerelle.serving.contract import MOST_MISTAKES, Contract, RequestError, Values, no_json, request_error_of, too_many_mistakes
from passerelle.serving.record_size import size_of
from passerelle.serving.structure import SMALL_BYTES, TOO_DEEP, whole_escapes, without_escaped_quotes

#: Of records that are validated at once; a tenth of a millisecond.
_PIECE_BYTES = 16_384
_PART_RECORDS = 64
#: No more than so many spaces are looked at in one place.
_BEGIN = re.compile(rb'\s{0,1000}\{\s{0,1000}"records"\s{0,1000}:\s{0,1000}\[')
_END = re.compile(rb"\]\s*\}\s*\Z")
#: Spaces behind the last record that are looked at.
_LONGEST_END = 80
_BETWEEN = re.compile(rb"\}\s{0,1000},\s{0,1000}(?=\{)")
_REST_OF_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
Records = list[dict[str, object]]


def read_in_slices(contract: Contract, body: bytes) -> Generator[None, None, tuple[Records, Values | None]]:
    """Return what `Contract.read_several` returns; yields between the pieces of a large body.

    Raises:
        RequestError: As `Contract.read_several`.
    """
    if len(body) <= SMALL_BYTES:
        return contract.read_several(body)
    yield from contract.refuse_excess(body, contract.batch_structure)
    if contract.params_field is not None and (content := _content_of(body, contract)):
        yield
        return (yield from validated_in_slices(contract, content["records"], content.get("params", {})))
    begin, end = _BEGIN.match(body), _END.search(body, max(0, len(body) - _LONGEST_END))
    if begin is not None and end is not None and end.start() >= begin.end():
        records = yield from _records(contract, body, begin.end(), end.start())
        if records:
            return records, None
    # What is not read in pieces is read at once, mistakes and all; what is no JSON is found out for less.
    try:
        from_json(body)
    except ValueError:
        raise no_json() from None
    yield
    return contract.read_counted(body)


def _records(contract: Contract, body: bytes, place: int, last: int) -> Generator[None, None, Records | None]:
    """Return the records of a list that stands in a body; None where it has to be read at once.

    The list is cut where an object ends and another one begins. Where that is inside of a record, the piece before the cut is no JSON,
    since what it opened is not closed; so pieces that are all JSON hold the records of the body, and no others.

    Raises:
        RequestError: The first record that is not acceptable; the rest is JSON.
    """
    records: Records = []
    count = mistakes = 0
    first: RequestError | None = None
    while place <= last:
        cut = yield from _cut(body, place, last)
        piece = b"[" + body[place : cut.start() + 1 if cut else last] + b"]"
        try:
            read = _list_of(contract.record).validate_json(piece)
            count += len(read)
            records += [] if first else [contract.fields(record) for record in read]
        except ValidationError as error:
            if _is_no_json(error):
                return None
            first = first or request_error_of(error, records_before=count)
            mistakes += error.error_count()
            count += len(from_json(piece))
        if count > contract.batch_structure.records:
            return None
        yield
        place = cut.end() if cut else last + 1
    if first is not None:
        raise too_many_mistakes() if mistakes > MOST_MISTAKES else first
    return records


def _content_of(body: bytes, contract: Contract) -> dict[str, Any] | None:
    """Return a batch whose records are still to be validated; None for what is to be read at once."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    is_batch = isinstance(content, dict) and content.keys() <= {"records", "params"} and isinstance(content.get("records"), list)
    return content if is_batch and 0 < len(content["records"]) <= contract.batch_structure.records else None


def validated_in_slices(
    contract: Contract, given: Sequence[object], given_params: object
) -> Generator[None, None, tuple[Records, Values | None]]:
    """Return records and params as `Contract.read_several` has them; yields between parts of the records.

    Args:
        given, given_params: As a JSON parser returned them.

    Raises:
        RequestError: As `Contract.read_several`.
    """
    beside = {"params": given_params} if given_params != {} else {}
    records: Records = []
    params: Values | None = None
    for part in _parts(given):
        try:
            written = orjson.dumps({"records": part} | beside)
        except orjson.JSONEncodeError:  # it reads what is nested a thousand deep, and writes no more than 254
            raise RequestError(422, "invalid_record", TOO_DEEP) from None
        try:
            read, params = contract.read_several(written)
        except RequestError as refusal:
            refusal.field = _place(refusal.field, len(records))
            raise
        records += read
        yield
    return records, params


def _parts(records: Sequence[object]) -> Iterator[Sequence[object]]:
    """Yield the records in parts that are validated in a fraction of a millisecond; one empty part where there are none."""
    begin = size = 0
    for place, record in enumerate(records):
        size += size_of(record) if isinstance(record, dict) else 0
        if place + 1 - begin == _PART_RECORDS or size > _PIECE_BYTES:
            yield records[begin : place + 1]
            begin, size = place + 1, 0
    if begin < len(records) or not records:
        yield records[begin:]


def _place(field: str | None, records_before: int) -> str | None:
    """Return the field of a refusal in the whole batch."""
    name, _, place = (field or "").partition(".")
    number, dot, rest = place.partition(".")
    return f"{name}.{int(number) + records_before}{dot}{rest}" if name == "records" and number.isdecimal() else field


def _is_no_json(error: ValidationError) -> bool:
    return error.error_count() == 1 and error.errors(include_input=False, include_url=False)[0]["type"] == "json_invalid"


def _cut(body: bytes, place: int, last: int) -> Generator[None, None, re.Match[bytes] | None]:
    """Return where a piece ends that begins outside of a text; None where the rest is one piece."""
    at, inside = place, False
    # The first step is over what the piece is to hold.
    step_ends = whole_escapes(body, at, at + _PIECE_BYTES)
    while step_ends < last:
        inside ^= without_escaped_quotes(body[at:step_ends]).count(b'"') % 2 == 1
        at = step_ends
        if inside and (rest := _REST_OF_TEXT.match(body, at, min(at + _PIECE_BYTES, last))):
            at, inside = rest.end(), False
        if not inside:
            found = _BETWEEN.search(body, at, min(at + _PIECE_BYTES, last))
            if found and without_escaped_quotes(body[at : found.start()]).count(b'"') % 2 == 0:
                return found
        step_ends = whole_escapes(body, at, at + _PIECE_BYTES)
        yield
    return None


@lru_cache(maxsize=16)
def _list_of(record: type[BaseModel]) -> TypeAdapter[list[BaseModel]]:
    """Return what validates a list of records."""
    return TypeAdapter(list[record])  # type: ignore[valid-type]

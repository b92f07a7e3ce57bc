"""Reads the body of a batch in slices: to validate 1,000 records at once would hold the event loop for two milliseconds."""

from __future__ import annotations

import re
from collections.abc import Generator
from functools import lru_cache

from pydantic import BaseModel, TypeAdapter, ValidationError

from passerelle.serving.contract import Contract, Values
from passerelle.serving.structure import SMALL_BYTES

#: Of records that are validated at once; a tenth of a millisecond.
_PIECE_BYTES = 16_384
_BEGIN = re.compile(rb'\s*\{\s*"records"\s*:\s*\[')
_END = re.compile(rb"\]\s*\}\s*\Z")
#: Spaces behind the last record that are looked at.
_LONGEST_END = 80
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")
Records = list[dict[str, object]]


def read_in_slices(contract: Contract, body: bytes) -> Generator[None, None, tuple[Records, Values | None]]:
    """Return what `Contract.read_several` returns; yields between the pieces of a large body.

    Raises:
        RequestError: As `Contract.read_several`.
    """
    if len(body) <= SMALL_BYTES or contract.params_field is not None:
        return contract.read_several(body)
    contract.refuse_excess(body, contract.batch_structure)
    yield
    records: Records = []
    for piece in _pieces(body):
        try:
            read = _list_of(contract.record).validate_json(piece)
        except ValidationError:
            # The whole body has the mistake, and its place.
            return contract.read_several(body)
        records += [contract.fields(record) for record in read]
        if len(records) > contract.batch_structure.records:
            return contract.read_several(body)
        yield
    return (records, None) if records else contract.read_several(body)


def _pieces(body: bytes) -> Generator[bytes, None, None]:
    """Yield JSON lists that together hold the records of a batch.

    A body is cut where an object seems to end and another one to begin. Where that is inside of a text or of a record, the piece before
    the cut is no JSON, since what it opened is not closed; so pieces that are all valid hold the records of the body, and no others.
    """
    begin, end = _BEGIN.match(body), _END.search(body, max(0, len(body) - _LONGEST_END))
    if begin is None or end is None or end.start() < begin.end():
        # No list of records, so that it is read at once.
        yield b""
        return
    place, last = begin.end(), end.start()
    while cut := _BETWEEN.search(body, min(place + _PIECE_BYTES, last), last):
        yield b"[" + body[place : cut.start() + 1] + b"]"
        place = cut.end()
    yield b"[" + body[place:last] + b"]"


@lru_cache(maxsize=16)
def _list_of(record: type[BaseModel]) -> TypeAdapter[list[BaseModel]]:
    """Return what validates a list of records."""
    return TypeAdapter(list[record])  # type: ignore[valid-type]

"""What a request of a foreign protocol comes to, and the limits that hold before its body is parsed."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from passerelle.model.record import Column
from passerelle.serving.batch_reader import validated_in_slices
from passerelle.serving.contract import Contract, RequestError, Values
from passerelle.serving.doors.outputs import NamedOutput
from passerelle.serving.structure import SMALL_BYTES, TOO_MANY_DIGITS, Excess, excess_in_slices

#: Names, brackets and settings that a body may hold beside its records: for the whole of it, and for each column.
_ENVELOPE_VALUES, _COLUMN_VALUES = 200, 50
_BAD_REQUEST, _UNPROCESSABLE = 400, 422
TOO_MANY_VALUES = "has more values than its records can have"


@dataclass(frozen=True)
class DoorQuestion:
    """What is asked.

    Attributes:
        records: By the names of the columns; not checked by the contract yet.
        params: Of the model's signature.
        id: That the answer repeats.
        outputs: Names of those that the answer holds; empty for all.
    """

    records: Sequence[Mapping[str, object]]
    params: Mapping[str, object] = field(default_factory=dict)
    id: str = ""
    outputs: tuple[str, ...] = ()


#: Yields wherever other requests may be answered.
Reading = Generator[None, None, DoorQuestion]


class Door(Protocol):
    """A foreign protocol: from its request to records, from the answers to its own answer."""

    def check_media_type(self, headers: dict[bytes, bytes]) -> None:
        """Check the media type; raises RequestError otherwise."""

    def read(self, body: bytes, headers: Mapping[bytes, bytes], contract: Contract, columns: Sequence[Column]) -> Reading:
        """Return what is asked, in slices; raises RequestError for what is not of the protocol's form."""

    def written(self, outputs: Sequence[NamedOutput], question: DoorQuestion, identity: tuple[str, str]) -> bytes:
        """Return the body of an answer, by the name and the version of the model that gave it."""

    def refusal(self, status: int, message: str) -> bytes:
        """Return the body of a refusal."""


def invalid(message: str) -> RequestError:
    """Return the refusal of a request that is not of the protocol's form."""
    return RequestError(_BAD_REQUEST, "invalid_request", message)


def too_many(contract: Contract) -> RequestError:
    """Return the refusal of a request for more records than a batch may have."""
    return RequestError(_BAD_REQUEST, "too_many_records", f"has more than {contract.batch_structure.records} records")


def object_of(body: bytes, contract: Contract) -> Generator[None, None, dict[str, Any]]:
    """Return the JSON object of a body that holds no more values than the contract's records can have; yields while they are counted.

    Raises:
        RequestError: 400.
    """
    if len(body) > SMALL_BYTES:
        columns = len(contract.columns)
        most = contract.batch_structure.records * 2 * (columns + 1) + _COLUMN_VALUES * columns + _ENVELOPE_VALUES
        most += contract.batch_structure.more_values
        excess, _ = yield from excess_in_slices(body, most_quotes=2 * most, most_values=most)
        if excess is not None:
            raise invalid(TOO_MANY_DIGITS if excess is Excess.DIGITS else TOO_MANY_VALUES)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestError(_BAD_REQUEST, "malformed_json", "the body is not JSON") from None
    if not isinstance(content, dict):
        raise invalid("the body is not a JSON object")
    return content


def checked(question: DoorQuestion, contract: Contract) -> Generator[None, None, tuple[list[dict[str, object]], Values | None]]:
    """Return the records and the params as the contract of the batch path has them; yields between parts of the records.

    Raises:
        RequestError: As `Contract.read_several`, with the status that foreign protocols have for it.
    """
    if len(question.records) > contract.batch_structure.records:
        raise too_many(contract)
    try:
        return (yield from validated_in_slices(contract, question.records, question.params))
    except RequestError as refusal:
        raise as_bad_request(refusal) from None


def as_bad_request(refusal: RequestError) -> RequestError:
    """Return a refusal with the status 400 in place of 422, which foreign protocols do not know."""
    if refusal.status == _UNPROCESSABLE:
        refusal.status = _BAD_REQUEST
    return refusal

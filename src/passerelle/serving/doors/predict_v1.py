"""KServe's older protocol, version 1: `POST /v1/models/NAME:predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from passerelle.model.record import Column
from passerelle.serving.contract import Contract
from passerelle.serving.doors.outputs import NamedOutput, rows_of
from passerelle.serving.doors.question import DoorQuestion, Reading, invalid, object_of
from passerelle.serving.doors.tables import by_rows
from passerelle.serving.request_checks import check_media_type


class PredictV1:
    """Reads predictions and writes their answers."""

    def check_media_type(self, headers: dict[bytes, bytes]) -> None:
        """Check the media type; raises RequestError otherwise."""
        check_media_type(headers)

    def read(self, body: bytes, headers: Mapping[bytes, bytes], contract: Contract, columns: Sequence[Column]) -> Reading:  # noqa: ARG002
        """Return what is asked.

        Raises:
            RequestError: 400.
        """
        content = yield from object_of(body, contract)
        if content.keys() != {"instances"}:
            raise invalid("the body is a JSON object with the field instances")
        return DoorQuestion(by_rows(content["instances"], contract))

    def written(self, outputs: Sequence[NamedOutput], question: DoorQuestion, identity: tuple[str, str]) -> bytes:  # noqa: ARG002
        """Return the body of an answer."""
        return orjson.dumps({"predictions": rows_of(outputs)})

    def refusal(self, status: int, message: str) -> bytes:  # noqa: ARG002
        """Return the body of a refusal."""
        return orjson.dumps({"error": message})

"""MLflow's scoring protocol: what `mlflow models serve` and its clients speak."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from passerelle.model.record import Column
from passerelle.serving.contract import Contract, RequestError
from passerelle.serving.doors.outputs import PROBABILITY, NamedOutput, rows_of
from passerelle.serving.doors.question import DoorQuestion, Reading, invalid, object_of
from passerelle.serving.doors.tables import Records, by_columns, by_lines, by_objects, by_rows, split
from passerelle.serving.request_checks import check_media_type

_CSV = b"text/csv"
_MEDIA_TYPES = (b"application/json", _CSV)
_SEND = "send application/json or text/csv; Parquet is not read here"
_FORMS: Mapping[str, Callable[[object, Contract], Records]] = {
    "dataframe_records": by_objects,
    "dataframe_split": split,
    "inputs": by_columns,
    "instances": by_rows,
}
_ONE_OF = f"the body is a JSON object with exactly one of the input fields {', '.join(_FORMS)}, and params where the model has any"
#: What MLflow calls the statuses.
_CODES: Mapping[int, str] = {
    401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST", 429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR", 503: "TEMPORARILY_UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


class Invocations:
    """Reads invocations and writes their answers."""

    def check_media_type(self, headers: dict[bytes, bytes]) -> None:
        """Check the media type; raises RequestError otherwise."""
        check_media_type(headers, _MEDIA_TYPES, _SEND)
        charset = headers.get(b"content-type", b"").lower().partition(b"charset=")[2].partition(b";")[0]
        if charset.strip(b' "') not in (b"", b"utf-8"):
            raise RequestError(415, "unsupported_media_type", "send UTF-8")

    def read(self, body: bytes, headers: Mapping[bytes, bytes], contract: Contract, columns: Sequence[Column]) -> Reading:
        """Return what is asked.

        Raises:
            RequestError: 400.
        """
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == _CSV:
            return DoorQuestion((yield from by_lines(body, contract, columns)))
        content = yield from object_of(body, contract)
        given = [name for name in _FORMS if name in content]
        if len(given) != 1 or not content.keys() <= {*given, "params"}:
            raise invalid(_ONE_OF)
        params = content.get("params")
        if params is not None and not isinstance(params, dict):
            raise invalid("params is not an object")
        return DoorQuestion(_FORMS[given[0]](content[given[0]], contract), params=params or {})

    def written(self, outputs: Sequence[NamedOutput], question: DoorQuestion, identity: tuple[str, str]) -> bytes:  # noqa: ARG002
        """Return the body of an answer: the predictions, as MLflow's server has them, and the probabilities beside them."""
        probabilities = [output.values for output in outputs[1:] if output.name == PROBABILITY]
        return orjson.dumps({"predictions": rows_of(outputs)} | ({"probabilities": probabilities[0]} if probabilities else {}))

    def refusal(self, status: int, message: str) -> bytes:
        """Return the body of a refusal."""
        return orjson.dumps({"error_code": _CODES.get(status, "BAD_REQUEST"), "message": message})

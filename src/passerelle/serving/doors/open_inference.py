"""The Open Inference Protocol, version 2, over HTTP: what Triton, KServe and MLServer speak."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import orjson

from passerelle import __version__
from passerelle.model.record import Column
from passerelle.serving.contract import Contract
from passerelle.serving.doors.outputs import Datatype, NamedOutput, tensor_data
from passerelle.serving.doors.question import DoorQuestion, Reading, invalid, object_of
from passerelle.serving.doors.tensors import BinaryTensors, names_of, tensor_of
from passerelle.serving.request_checks import check_media_type

#: tritonclient names no media type at all.
_MEDIA_TYPES = (b"", b"application/json", b"application/octet-stream")
#: KServe's client repeats the name of the model.
_KEYS = {"id", "parameters", "inputs", "outputs", "model_name"}
_LONGEST_ID = 256
_DATATYPES: Mapping[str, str] = {
    "string": "BYTES", "boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64",
}  # fmt: skip


class OpenInference:
    """Reads inference requests and writes their answers."""

    def check_media_type(self, headers: dict[bytes, bytes]) -> None:
        """Check the media type; raises RequestError otherwise."""
        check_media_type(headers, _MEDIA_TYPES)

    def read(self, body: bytes, headers: Mapping[bytes, bytes], contract: Contract, columns: Sequence[Column]) -> Reading:
        """Return what is asked.

        Raises:
            RequestError: 400.
        """
        size = headers.get(b"inference-header-content-length")
        if size is None:
            content, binary = (yield from object_of(body, contract)), BinaryTensors(b"")
        else:
            if not size.isdigit() or len(size) > len(str(len(body))) or int(size) > len(body):
                raise invalid("Inference-Header-Content-Length is not the length of the JSON in the body")
            content, binary = (yield from object_of(body[: int(size)], contract)), BinaryTensors(body[int(size) :])
        if not content.keys() <= _KEYS:
            raise invalid("an inference request has id, parameters, inputs and outputs")
        given_id, parameters = content.get("id"), content.get("parameters")
        if parameters is not None and not isinstance(parameters, dict):
            raise invalid("parameters is not an object")
        if given_id is not None and (not isinstance(given_id, str) or len(given_id) > _LONGEST_ID):
            raise invalid(f"id is not a text of at most {_LONGEST_ID} characters")
        records = yield from _records(content.get("inputs"), binary, contract, {column.name: column.depth for column in columns})
        binary.check_end()
        # Servers have parameters of their own; those that are no param of the model mean nothing here.
        params = {each.name: parameters[each.name] for each in contract.params if parameters and each.name in parameters}
        return DoorQuestion(records, params, id=given_id or "", outputs=names_of(content.get("outputs")))

    def written(self, outputs: Sequence[NamedOutput], question: DoorQuestion, identity: tuple[str, str]) -> bytes:
        """Return the body of an answer.

        Raises:
            RequestError: 400 for an output that the model does not have.
        """
        if not set(question.outputs) <= {output.name for output in outputs}:
            raise invalid("there is no output of this name; the model's metadata name them")
        chosen = [output for output in outputs if not question.outputs or output.name in question.outputs]
        tensors = [
            {"name": output.name, "datatype": output.datatype, "shape": shape, "data": data}
            for output, (shape, data) in ((output, tensor_data(output)) for output in chosen)
        ]
        identifier = {"id": question.id} if question.id else {}
        return orjson.dumps({"model_name": identity[0], "model_version": identity[1], **identifier, "outputs": tensors})

    def refusal(self, status: int, message: str) -> bytes:  # noqa: ARG002 - other protocols repeat the status in words
        """Return the body of a refusal."""
        return orjson.dumps({"error": message})


def _records(
    inputs: Any, binary: BinaryTensors, contract: Contract, depths: Mapping[str, int]
) -> Generator[None, None, list[dict[str, object]]]:
    """Return the records whose columns the inputs are."""
    ignoring = contract.structure.ignoring
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= len(contract.columns) * (1 + ignoring) + ignoring:
        raise invalid("inputs is a list of tensors, one for each column; the model's metadata name them")
    columns: dict[str, Sequence[object]] = {}
    for each in inputs:
        tensor = yield from tensor_of(each, binary, contract, depths)
        columns[tensor.name] = tensor.values
    if len(columns) != len(inputs) or not (ignoring or columns.keys() <= set(contract.columns)):
        raise invalid("the inputs are not those of the model, each once; the model's metadata name them")
    if len({len(values) for values in columns.values()}) != 1:
        raise invalid("the inputs have different numbers of records")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def server_metadata() -> dict[str, object]:
    """Return what `GET /v2` answers."""
    return {"name": "passerelle", "version": __version__, "extensions": []}


def model_metadata(name: str, version: str, columns: Sequence[Column], outputs: Sequence[tuple[str, Datatype, bool]]) -> dict[str, object]:
    """Return the metadata of a model.

    Args:
        outputs: Name and datatype of each, and whether it has a value for each of several labels.
    """
    inputs = [
        {"name": column.name, "datatype": _DATATYPES.get(column.scalar, "BYTES"), "shape": [-1, *_lengths(column)]} for column in columns
    ]
    tensors = [{"name": output, "datatype": datatype, "shape": [-1, -1] if several else [-1]} for output, datatype, several in outputs]
    return {"name": name, "versions": [version], "platform": "passerelle", "inputs": inputs, "outputs": tensors}


def _lengths(column: Column) -> list[int]:
    """Return the lengths of a column's arrays, -1 where any will do; [1] for a column without arrays."""
    lengths = column.lengths or (None,) * column.depth
    return [-1 if length is None else length for length in lengths] or [1]

"""The tensors of the Open Inference Protocol: JSON or binary, each length checked before anything is read by it."""

from __future__ import annotations

import struct
from collections.abc import Generator, Mapping, Sequence
from math import isfinite, prod
from typing import Any, NamedTuple, TypeGuard

from passerelle.serving.contract import Contract
from passerelle.serving.doors.question import TOO_MANY_VALUES, invalid, too_many

_LENGTH = struct.Struct("<I")
#: Code of one element in `struct`, for the datatypes of a fixed size.
_CODES: Mapping[str, str] = {
    "BOOL": "?", "INT8": "b", "UINT8": "B", "INT16": "h", "UINT16": "H", "INT32": "i", "UINT32": "I", "INT64": "q", "UINT64": "Q",
    "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
_KEYS = {"name", "shape", "datatype", "data", "parameters"}
#: Content types of MLServer's codecs by which a text stands for something else.
_ENCODED = {"base64", "datetime"}
_MOST_DIMENSIONS = 8
#: Elements, or lists of them, that are read before other requests get their turn; of texts fewer.
_ELEMENTS_A_SLICE, _TEXTS_A_SLICE = 2_048, 128
#: Yields wherever other requests may be answered.
Elements = Generator[None, None, list[Any]]


class Tensor(NamedTuple):
    """One input.

    Attributes:
        values: One for each record.
    """

    name: str
    values: Sequence[object]


class BinaryTensors:
    """The binary tensors that follow the JSON of a body, in the order of the inputs.

    Args:
        data: All of them.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._read = 0

    def take(self, size_bytes: object) -> bytes:
        """Return the next tensor.

        Raises:
            RequestError: There are not so many bytes left.
        """
        if not is_count(size_bytes) or size_bytes > len(self._data) - self._read:
            raise invalid("binary_data_size is not the size of a tensor in the body")
        begin, self._read = self._read, self._read + size_bytes
        return self._data[begin : self._read]

    def check_end(self) -> None:
        """Check that nothing is left; raises RequestError otherwise."""
        if self._read != len(self._data):
            raise invalid("the body holds more binary data than its inputs say")


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a JSON value is a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def tensor_of(given: object, binary: BinaryTensors, contract: Contract, depths: Mapping[str, int]) -> Generator[None, None, Tensor]:
    """Return an input of a request; yields between some of its elements.

    Args:
        depths: How many arrays are inside of each other in a value of each column.

    Raises:
        RequestError: It is not of the protocol's form, or its shape, its data and its size do not agree.
    """
    if not isinstance(given, dict) or not given.keys() <= _KEYS or not isinstance(given.get("name"), str):
        raise invalid("an input is an object with name, shape, datatype and data")
    datatype, parameters = given.get("datatype"), given.get("parameters")
    parameters = {} if parameters is None else parameters
    if datatype != "BYTES" and (not isinstance(datatype, str) or datatype not in _CODES):
        raise invalid("an input has an unknown datatype")
    if not isinstance(parameters, dict) or parameters.get("content_type") in _ENCODED:
        raise invalid("an input has parameters that are not understood here")
    shape = _shape(given.get("shape"), depths.get(given["name"], 0), contract)
    if "binary_data_size" in parameters:
        if given.get("data") is not None:
            raise invalid("an input has both data and binary_data_size")
        elements = yield from _unpacked(datatype, binary.take(parameters["binary_data_size"]), prod(shape))
    else:
        elements = _elements(given.get("data"), datatype, shape)
    return Tensor(given["name"], (yield from _nested(elements, shape[1:])))


def _shape(shape: object, depth: int, contract: Contract) -> list[int]:
    """Return the shape of an input: [n] for n records, [n, 1], or [n, …] with a length for each of the arrays inside of each other."""
    if not isinstance(shape, list) or not 1 <= len(shape) <= _MOST_DIMENSIONS or not all(map(is_count, shape)):
        raise invalid("the shape of an input is [n], or [n, 1]")
    if len(shape) != depth + 1 if depth else shape[1:] not in ([], [1]):
        raise invalid("the shape of an input is that of its column, as the model's metadata have it")
    if shape[0] > contract.batch_structure.records:
        raise too_many(contract)
    if depth and prod(shape) > contract.batch_structure.more_values:
        raise invalid(TOO_MANY_VALUES)
    return shape if depth else shape[:1]


def _elements(data: Any, datatype: str, shape: Sequence[int]) -> list[Any]:
    """Return the elements of JSON data, which may be nested or flat whatever the shape."""
    for length in (*shape[1:], 1) if isinstance(data, list) and data and isinstance(data[0], list) else ():
        if not all(isinstance(each, list) and len(each) == length for each in data):
            raise invalid("the data of an input are not as many as its shape says")
        data = [element for each in data for element in each]
        if not data or not isinstance(data[0], list):
            break
    if not isinstance(data, list) or len(data) != prod(shape):
        raise invalid("the data of an input are not as many as its shape says")
    kinds = {"BYTES": str, "BOOL": bool}.get(datatype, (int, float) if datatype.startswith("FP") else int)
    if not all(isinstance(each, kinds) and isinstance(each, bool) == (datatype == "BOOL") for each in data if each is not None):
        raise invalid("the data of an input are not of its datatype")
    return data


def _nested(elements: list[Any], lengths: Sequence[int]) -> Elements:
    """Return the elements in lists of these lengths, the outer one first."""
    for length in reversed(lengths):
        lists = []
        for begin in range(0, len(elements), length) if length else ():
            lists.append(elements[begin : begin + length])
            if len(lists) % _ELEMENTS_A_SLICE == 0:
                yield
        elements = lists
    return elements


def _unpacked(datatype: str, data: bytes, count: int) -> Elements:
    if datatype == "BYTES":
        return (yield from _texts(data, count))
    element = struct.Struct("<" + _CODES[datatype])
    if len(data) != count * element.size:
        raise invalid("the binary data of an input are not as many as its shape says")
    elements: list[Any] = []
    for begin in range(0, len(data), piece_bytes := _ELEMENTS_A_SLICE * element.size):
        values = [value for (value,) in element.iter_unpack(data[begin : begin + piece_bytes])]
        if datatype.startswith("FP") and not all(map(isfinite, values)):
            raise invalid("an input holds a number that is not finite")
        elements += values
        if begin + piece_bytes < len(data):
            yield
    return elements


def _texts(data: bytes, count: int) -> Elements:
    """Return texts that each follow their length: four bytes, the least significant first."""
    texts, place = [], 0
    for number in range(1, count + 1):
        if place + _LENGTH.size > len(data):
            break
        (size,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if size > len(data) - place:
            break
        try:
            texts.append(data[place : place + size].decode("utf-8"))
        except UnicodeDecodeError:
            raise invalid("an input holds a text that is not UTF-8") from None
        place += size
        if number % _TEXTS_A_SLICE == 0:
            yield
    if len(texts) != count or place != len(data):
        raise invalid("the binary data of an input are not as many as its shape says")
    return texts


def names_of(given: Any) -> tuple[str, ...]:
    """Return the names of the outputs that a request asks for; none where it asks for all.

    Raises:
        RequestError: They are not objects with names.
    """
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in given):
        raise invalid("outputs is a list of objects with names")
    return tuple(each["name"] for each in given)

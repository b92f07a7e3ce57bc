"""Messages between the service and the model's process: four bytes of length, big-endian, and as many bytes of JSON."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_LENGTH = struct.Struct(">I")
#: Longest message, in bytes; a batch of the service is smaller.
MOST_BYTES = 256 << 20


def write_message(stream: IO[bytes], message: object) -> None:
    """Write one message and flush it."""
    content = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """Return the next message; None at the end of the stream.

    Raises:
        ValueError: The message is too long, is cut short, or is not JSON.
    """
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ValueError("a message is cut short")
    (length,) = _LENGTH.unpack(head)
    if length > MOST_BYTES:
        raise ValueError(f"a message of {length} bytes is too long")
    content = stream.read(length)
    if len(content) < length:
        raise ValueError("a message is cut short")
    return json.loads(content)

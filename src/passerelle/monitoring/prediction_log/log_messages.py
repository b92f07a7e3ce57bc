"""What a worker and the process that writes its prediction log send each other: whole messages, over a pipe each way."""

from __future__ import annotations

import marshal
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_LENGTH = struct.Struct("=I")
#: Of one read: from here on, the system maps new memory for each.
PIECE_BYTES = 1 << 16

#: Kinds of messages to the process.
SETTINGS, MODELS, RECORDS = range(3)
#: Stands in place of the number of a model in front of a feedback.
FEEDBACK_MARK = -1


#: The number of a model, or the mark of a feedback, and then the fields of `AnsweredRecord` or `LoggedFeedback`.
RecordValues = tuple[Any, ...]


class WriterSettings(NamedTuple):
    """What the process is told first.

    Attributes:
        folder: Of the prediction log.
        columns: That are logged.
        text: Whether the log holds texts: `off`, `redacted` or `full`.
        key: Of the digests; empty without one.
        file_bytes: Size at which the next file begins.
        file_age_s: Age at which it begins.
        most_bytes: Of files that were not collected.
    """

    folder: str
    columns: tuple[str, ...]
    text: str
    key: bytes
    file_bytes: int
    file_age_s: float
    most_bytes: int


class Progress(NamedTuple):
    """What the process says of its work, all since its start: a message that is lost is made up for by the next.

    Attributes:
        written: Records.
        dropped: Records, by reason.
        done_bytes: Of the messages that it is done with.
        fault: Why nothing is written at the moment; empty while all is well.
    """

    written: int
    dropped: Mapping[str, int]
    done_bytes: int
    fault: str


#: What a process has done that was just started.
NOTHING = Progress(0, {}, 0, "")


def packed(content: Any) -> bytes:
    """Return a message. Only this program reads it, by the same interpreter, so that the quickest format will do.

    Raises:
        ValueError: The content holds an object that is no plain value.
    """
    body = marshal.dumps(content)
    return _LENGTH.pack(len(body)) + body


class MessageReader:
    """Reads the messages from a pipe.

    Attributes:
        ended: Whether the other end is closed.
    """

    def __init__(self, handle: int) -> None:
        self.ended = False
        self._handle = handle
        self._content = bytearray()

    def read(self) -> Iterator[tuple[Any, int]]:
        """Yield the messages that are whole after one more read of the pipe, each with its size in bytes.

        Raises:
            BlockingIOError: The pipe does not block, and nothing is in it.
        """
        piece = os.read(self._handle, PIECE_BYTES)
        self.ended = not piece
        self._content += piece
        while len(self._content) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._content)[0]
            if len(self._content) < end:
                return
            with memoryview(self._content) as content:
                message = marshal.loads(content[_LENGTH.size : end])  # noqa: S302 - from our own other half
            del self._content[:end]
            yield message, end

"""What a worker hands over to the process that writes its prediction log: records, many at a time, over a pipe that never blocks."""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from passerelle.monitoring.prediction_log.digest import canonical
from passerelle.monitoring.prediction_log.log_messages import MODELS, RECORDS, RecordValues, packed

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel

#: So many records are handed over together: beside the scorer, the first one finds nothing that it needs in the processor's caches.
TOGETHER = 64
#: Bytes of all records that wait, so that long texts do not fill the memory.
MOST_BYTES = 8_000_000
#: What fits into the pipe, where the system allows it.
_PIPE_BYTES = 1 << 20
#: Models whose numbers are remembered: more than answer at a time.
_MOST_MODELS = 16

Message = tuple[bytes, int]


class HandOver:
    """The messages to the process, in their order; those for which the pipe has no room wait here.

    Attributes:
        sent: Records that the process has got, or part of whose message it has.
        unsent: Records in the messages that wait.
        sent_bytes: Of the messages of the sent records.
        unsent_bytes: Of those that wait.
    """

    def __init__(self) -> None:
        self.sent = self.unsent = 0
        self.sent_bytes = self.unsent_bytes = 0
        self._waiting: deque[Message] = deque()
        self._rest = memoryview(b"")
        self._pipe: int | None = None
        self._models: dict[int, tuple[str, str, list[bytes]]] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for the pipe."""
        return not self._waiting and not self._rest

    def connect(self, pipe: int, settings: Sequence[object]) -> None:
        """Send to a process that was started: its settings and the models first.

        Args:
            pipe: To its standard input.
        """
        os.set_blocking(pipe, False)
        with suppress(OSError):  # a limit for all of the user's pipes
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pipe = pipe
        self._rest = memoryview(packed((None, tuple(settings))) + packed((MODELS, self._models)))
        self.pump()

    def disconnect(self) -> None:
        """Send no more until another process was started: what the pipe has taken a part of is lost."""
        self._pipe, self._rest = None, memoryview(b"")

    def forget_sent(self) -> None:
        """Count for the next process from 0."""
        self.sent = self.sent_bytes = 0

    def number_of(self, model: LoadedModel) -> int:
        """Return the number of a model in front of its records; a new one is made known to the process."""
        lineage = model.lineage
        identity = str(lineage.get("registered_model", "")), str(lineage.get("artifact_digest", ""))
        number = self._numbers.get(identity)
        if number is None:
            number = self._numbers[identity] = max(self._models, default=-1) + 1
            self._models[number] = (*identity, list(model.golden_inputs))
            self._waiting.append((packed((MODELS, {number: self._models[number]})), 0))
            if len(self._models) > _MOST_MODELS:
                oldest = min(self._models)
                self._numbers.pop(self._models.pop(oldest)[:2])
        return number

    def put(self, records: list[RecordValues]) -> int:
        """Let records wait for the pipe, and return how many of them cannot be sent."""
        try:
            message = packed((RECORDS, records))
        except ValueError:
            plain = [found for each in records if (found := _plain(each)) is not None]
            message = packed((RECORDS, plain))
            return len(records) - self._append(message, len(plain))
        return len(records) - self._append(message, len(records))

    def pump(self) -> None:
        """Send what the pipe has room for."""
        if self._pipe is None:
            return
        with suppress(BlockingIOError, BrokenPipeError):  # whoever looks after the process finds that it ended
            while self._rest or self._begin_next():
                self._rest = self._rest[os.write(self._pipe, self._rest) :]

    def _append(self, message: bytes, records: int) -> int:
        if records:
            self._waiting.append((message, records))
            self.unsent += records
            self.unsent_bytes += len(message)
        return records

    def _begin_next(self) -> bool:
        """Take the next message, and return whether there is one."""
        if not self._waiting:
            return False
        message, records = self._waiting.popleft()
        self._rest = memoryview(message)
        if records:
            self.unsent, self.sent = self.unsent - records, self.sent + records
            self.unsent_bytes, self.sent_bytes = self.unsent_bytes - len(message), self.sent_bytes + len(message)
        return True


def _plain(record: RecordValues) -> RecordValues | None:
    """Return a record with plain values in place of all others, such as times; None for one that no line can hold."""
    try:
        return tuple(json.loads(canonical(value)) if isinstance(value, Mapping) else value for value in record)
    except (TypeError, ValueError):
        return None

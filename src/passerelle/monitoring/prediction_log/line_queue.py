"""What waits to be written to the prediction log of one worker: answers and feedback, and their lines."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import NamedTuple

from passerelle.monitoring.prediction_log.content import AnsweredRecord, LoggedContent
from passerelle.monitoring.prediction_log.log_metrics import RECORD, LogMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback

#: Characters of all texts and lines that wait, so that long texts do not fill the memory.
_MOST_CHARACTERS = 4_000_000
#: How many lines the event loop makes together, the longest record that it takes, and the time after which it begins no further line.
_TOGETHER, _SHORT_CHARACTERS, _LONGEST_S = 16, 1_024, 0.001

Waiting = AnsweredRecord | LoggedFeedback


class Lines(NamedTuple):
    """Whole lines, by the kind of their file, and how many they are."""

    predictions: bytes
    feedback: bytes
    records: int


class LineQueue:
    """A bounded queue between the event loop, which puts, and the thread that takes and writes; the event loop never waits for it.

    Under load the event loop makes the lines, of some short records at a time: the scorer has displaced in the processor's caches what a
    line needs, which is loaded once for all of them, and the thread does not compete for the interpreter. The thread makes the lines of
    all other records: long ones, batches, feedback, and answers that are rare.

    Args:
        content: Makes the lines.
        counts: Of the records that no line can hold.
        most: Records that wait.
    """

    def __init__(self, content: LoggedContent, counts: LogMetrics, most: int) -> None:
        self._content = content
        self._counts = counts
        self._most = most
        self._waiting: deque[Waiting] = deque()
        # Lines of the records that were put before those that wait.
        self._lines: deque[bytes] = deque()
        # Whoever has it takes records and makes lines.
        self._making = threading.Lock()
        self._prepared = False
        # The first is changed by the event loop alone, the second by whoever makes lines.
        self._characters_put = self._characters_taken = 0

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._waiting) + len(self._lines)

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return len(self) >= self._most or self._characters_put - self._characters_taken > _MOST_CHARACTERS

    @property
    def crowded(self) -> bool:
        """Whether more than half of it is taken."""
        return len(self) * 2 > self._most

    @property
    def few(self) -> bool:
        """Whether fewer wait than lines are made together: they can wait for others, or for the next turn of the thread."""
        return len(self) < _TOGETHER

    def prepare(self) -> None:
        """Load what the lines need, which takes time once: not on the event loop."""
        self._content.prepare()
        self._prepared = True

    def put(self, item: Waiting) -> None:
        """Let a record wait, and make lines where enough of them do."""
        self._characters_put += _characters_of(item)
        self._waiting.append(item)
        if len(self._waiting) >= _TOGETHER and self._prepared and self._making.acquire(blocking=False):
            try:
                self._make_short_ones()
            finally:
                self._making.release()

    def take(self, seconds: float) -> Lines:
        """Return the lines that are made, and those that can be made within this time."""
        end = time.perf_counter() + seconds
        with self._making:
            predictions, feedback = list(self._lines), list[bytes]()
            self._lines.clear()
            self._characters_taken += sum(map(len, predictions))
            while self._waiting and time.perf_counter() < end:
                item = self._waiting[0]
                line = self._next_line()
                if line is not None:
                    (predictions if isinstance(item, AnsweredRecord) else feedback).append(line)
        return Lines(b"".join(predictions), b"".join(feedback), len(predictions) + len(feedback))

    def clear(self) -> int:
        """Drop what waits, and return how many records that were."""
        with self._making:
            count = len(self)
            self._characters_taken += sum(map(len, self._lines)) + sum(map(_characters_of, self._waiting))
            self._lines.clear()
            self._waiting.clear()
        return count

    def _make_short_ones(self) -> None:
        end = time.perf_counter() + _LONGEST_S
        for _ in range(_TOGETHER):
            item = self._waiting[0] if self._waiting else None
            if not isinstance(item, AnsweredRecord) or item.batch or item.characters > _SHORT_CHARACTERS:
                return
            if time.perf_counter() > end:
                return
            line = self._next_line()
            if line is not None:
                self._characters_taken -= len(line)
                self._lines.append(line)

    def _next_line(self) -> bytes | None:
        """Return the line of the first record that waits, which is taken; None where no line can hold it."""
        item = self._waiting.popleft()
        self._characters_taken += _characters_of(item)
        try:
            return self._content.prediction(item) if isinstance(item, AnsweredRecord) else self._content.feedback(item)
        except Exception:  # noqa: BLE001 - whatever a rule or a value raises: the record is left out, and the log goes on
            self._counts.drop(RECORD)
            return None


def _characters_of(item: Waiting) -> int:
    if isinstance(item, AnsweredRecord):
        return item.characters
    texts = [item.comment, *(item.fields or {}).values()]
    return sum(len(text) for text in texts if isinstance(text, str))

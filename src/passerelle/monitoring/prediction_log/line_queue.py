"""What waits to be written to the prediction log of one worker: answers and feedback, and their lines."""

from __future__ import annotations

import copy
import time
from collections import deque
from typing import NamedTuple

from passerelle.monitoring.prediction_log.content import AnsweredRecord, LoggedContent
from passerelle.monitoring.prediction_log.log_metrics import RECORD, LogMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback

#: Characters of all texts and lines that wait, so that long texts do not fill the memory.
_MOST_CHARACTERS = 4_000_000
#: The longest record whose line the event loop makes.
_SHORT_CHARACTERS = 1_024
#: So many lines are made one after the other: beside the scorer, the first one finds nothing that it needs in the processor's caches.
TOGETHER = 64
#: Fewer records and lines than these can wait for the next turn of the thread.
_FEW = 16

Waiting = AnsweredRecord | LoggedFeedback


class Lines(NamedTuple):
    """Whole lines, by the kind of their file, and how many they are."""

    predictions: bytes
    feedback: bytes
    records: int


class LineQueue:
    """A bounded queue between the event loop, which puts, and the thread that takes and writes; the event loop never waits for it.

    The event loop makes the lines of short records itself, `TOGETHER` at a time: the thread would compete for the interpreter. The thread
    makes the lines of all other records: long ones, batches, feedback, those that come before `prepare` is done, and those that have waited
    since its last turn.

    Args:
        content: Makes the lines.
        counts: Of the records that no line can hold.
        most: Records that wait.
    """

    def __init__(self, content: LoggedContent, counts: LogMetrics, most: int) -> None:
        # One for each thread, since they remember the model and the time of the line before.
        self._content, self._content_at_once = content, copy.copy(content)
        self._counts = counts
        self._most = most
        self._answers: deque[AnsweredRecord] = deque()
        self._waiting: deque[Waiting] = deque()
        self._lines: deque[bytes] = deque()
        self._prepared = False
        #: Answers may be put until so many are there.
        self._room = min(TOGETHER, most)
        # The first is changed by the event loop alone, the second by the thread alone.
        self._characters_put = self._characters_taken = 0

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._answers) + len(self._waiting) + len(self._lines)

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
        """Whether so few wait that they can wait for the next turn of the thread."""
        return len(self._waiting) < _FEW and len(self._lines) * 2 < self._most

    def prepare(self) -> None:
        """Load what the lines need, which takes time once: not on the event loop."""
        self._content.prepare()
        self._prepared = True

    def put(self, answered: AnsweredRecord) -> bool:
        """Let an answer wait, and return whether it does; it does not where the queue is full."""
        if len(self._answers) >= self._room and not self._make_room():
            return False
        if not answered.batch and _characters_of(answered) <= _SHORT_CHARACTERS:
            self._answers.append(answered)
            return True
        return not self.full and self._leave(answered)

    def put_feedback(self, feedback: LoggedFeedback) -> bool:
        """Let a feedback wait, and return whether it does; it does not where half of the queue is taken."""
        # The other half of the queue is for answers: nobody sends those again.
        return not (self.crowded or self.full) and self._leave(feedback)

    def take(self, seconds: float) -> Lines:
        """Return the lines that are made, and those that can be made within this time."""
        end = time.perf_counter() + seconds
        predictions, feedback = list[bytes](), list[bytes]()
        while self._lines:
            predictions.append(self._lines.popleft())
        self._characters_taken += sum(map(len, predictions))
        while time.perf_counter() < end and (item := self._next()) is not None:
            line = self._line_of(item, self._content)
            if line is not None:
                (predictions if isinstance(item, AnsweredRecord) else feedback).append(line)
        return Lines(b"".join(predictions), b"".join(feedback), len(predictions) + len(feedback))

    def clear(self) -> int:
        """Drop what waits, and return how many records that were."""
        dropped = 0
        while self._lines:
            self._characters_taken += len(self._lines.popleft())
            dropped += 1
        while self._next() is not None:
            dropped += 1
        return dropped

    def _leave(self, item: Waiting) -> bool:
        """Leave a record to the thread."""
        self._characters_put += _characters_of(item)
        self._waiting.append(item)
        self._room -= 1
        return True

    def _make_room(self) -> bool:
        """Make the lines of what the event loop has put, and return whether there is room for more."""
        for answered in _all(self._answers):
            if not self._prepared:
                self._leave(answered)
                continue
            line = self._line_of(answered, self._content_at_once)
            if line is not None:
                self._characters_put += len(line)
                self._lines.append(line)
        self._room = 0 if self.full else min(TOGETHER, self._most - len(self))
        return self._room > 0

    def _next(self) -> Waiting | None:
        """Return what the thread is to make a line of next."""
        try:
            return self._answers.popleft()
        except IndexError:  # also where the event loop has just taken it
            if not self._waiting:
                return None
        item = self._waiting.popleft()
        self._characters_taken += _characters_of(item)
        return item

    def _line_of(self, item: Waiting, content: LoggedContent) -> bytes | None:
        """Return the line of a record; None where no line can hold it."""
        try:
            return content.prediction(item) if isinstance(item, AnsweredRecord) else content.feedback(item)
        except Exception:  # noqa: BLE001 - whatever a rule or a value raises: the record is left out, and the log goes on
            self._counts.drop(RECORD)
            return None


def _all(answers: deque[AnsweredRecord]) -> list[AnsweredRecord]:
    """Return what waits, without it waiting any longer; the thread may take some of it meanwhile."""
    found = []
    try:
        while True:
            found.append(answers.popleft())
    except IndexError:
        return found


def _characters_of(item: Waiting) -> int:
    texts = item.record.values() if isinstance(item, AnsweredRecord) else [item.comment, *(item.fields or {}).values()]
    characters = 0
    for text in texts:
        if isinstance(text, str):
            characters += len(text)
    return characters

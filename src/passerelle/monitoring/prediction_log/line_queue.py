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


class Block(NamedTuple):
    """Whole lines that the event loop made together, and how many they are."""

    lines: bytes
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
        self._blocks: deque[Block] = deque()
        self._prepared = False
        #: Answers may be put until so many are there.
        self._room = min(TOGETHER, most)
        # The first of each is changed by the event loop alone, the second by the thread alone.
        self._characters_put = self._characters_taken = 0
        self._lines_put = self._lines_taken = 0

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._answers) + len(self._waiting) + self._lines

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return len(self) >= self._most or self._characters_put - self._characters_taken > _MOST_CHARACTERS

    @property
    def _lines(self) -> int:
        """Number of lines that are made and not taken."""
        return self._lines_put - self._lines_taken

    @property
    def crowded(self) -> bool:
        """Whether more than half of it is taken."""
        return len(self) * 2 > self._most

    @property
    def few(self) -> bool:
        """Whether so few wait that they can wait for the next turn of the thread."""
        return len(self._waiting) < _FEW and self._lines * 2 < self._most

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
        taken = self._lines_taken
        while (block := self._next_block()) is not None:
            predictions.append(block.lines)
        records = self._lines_taken - taken
        while time.perf_counter() < end and (item := self._next()) is not None:
            line = self._line_of(item, self._content)
            if line is not None:
                (predictions if isinstance(item, AnsweredRecord) else feedback).append(line)
                records += 1
        return Lines(b"".join(predictions), b"".join(feedback), records)

    def clear(self) -> int:
        """Drop what waits, and return how many records that were."""
        dropped = self._lines
        while self._next_block() is not None:
            pass
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
        answers, lines = _all(self._answers), list[bytes]()
        for answered in answers:
            if not self._prepared:
                self._leave(answered)
            elif (line := self._line_of(answered, self._content_at_once)) is not None:
                lines.append(line)
        if lines:
            # One object for all of them: what waits for long cannot be used again meanwhile.
            block = Block(b"".join(lines), len(lines))
            self._characters_put += len(block.lines)
            self._lines_put += block.records
            self._blocks.append(block)
        self._room = 0 if self.full else min(TOGETHER, self._most - len(self))
        return self._room > 0

    def _next_block(self) -> Block | None:
        if not self._blocks:
            return None
        block = self._blocks.popleft()
        self._characters_taken += len(block.lines)
        self._lines_taken += block.records
        return block

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

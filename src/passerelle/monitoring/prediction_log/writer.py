"""The prediction log of one worker: a bounded queue of lines, and a thread that writes them."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from passerelle.log_settings import LogSettings
from passerelle.monitoring.prediction_log.content import AnsweredRecord, LoggedContent
from passerelle.monitoring.prediction_log.folder_room import FolderRoom
from passerelle.monitoring.prediction_log.log_file import FEEDBACK, PREDICTIONS, FileLimits, LogFile, worker_name
from passerelle.monitoring.prediction_log.log_metrics import DISK, FOLDER, QUEUE, RECORD, SHUTDOWN, LogMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback

#: Characters of all lines and texts that wait, so that long texts do not fill the memory.
_MOST_CHARACTERS = 4_000_000
#: A record with more characters is made a line by the thread: it would hold the event loop for more than a millisecond.
_MOST_AT_ONCE = 1_024
#: The thread works for so long at a time, and at most this share of the time: the event loop needs the interpreter too.
_TURN_S, _SHARE = 0.0005, 0.25
_PAUSE_S = 0.1
_RETRY_S = 1.0
#: A write that takes longer is reported as a fault of the disk.
_STUCK_S = 2.0
#: Longest time for what still waits when the service ends.
_CLOSE_S = 5.0

Waiting = bytes | AnsweredRecord | LoggedFeedback


class PredictionLog:
    """Records answers and feedback; never waits for the disk.

    Records are added from one thread, the event loop, which makes the line of a short record at once: the record is in the processor's
    cache, and what waits is one object that the garbage collector need not follow. The same work on the thread takes three times as long,
    and slows the event loop down. The thread makes the lines of long records, of batches and of feedback.

    Whole lines are written together, a few milliseconds' worth at a time: a write for each record would hand the interpreter back and
    forth as often. What a write leaves out is at most the end of its last line, as with one write a line.

    Args:
        settings: Where the log lies, and what it holds.
        registry: Of the service's metrics.
    """

    def __init__(self, settings: LogSettings, registry: CollectorRegistry | None = None) -> None:
        self._settings = settings
        self._folder = Path(settings.prediction_log).resolve()
        # One for each thread: they remember what the record before had.
        self._content, self._content_at_once = LoggedContent(settings), LoggedContent(settings)
        self._makes_at_once = False
        self._counts = LogMetrics(registry)
        self._queue: deque[Waiting] = deque()
        self._most = settings.log_queue
        # Each is changed by one thread alone.
        self._characters_added = self._characters_taken = 0
        limits, worker = FileLimits(settings.log_file_bytes, settings.log_file_age_s), worker_name(time.time())
        self._predictions = LogFile(self._folder, PREDICTIONS, worker, limits)
        self._feedback = LogFile(self._folder, FEEDBACK, worker, limits)
        self._in_hand = 0
        self._room = FolderRoom(self._folder, settings.log_max_bytes)
        self._writing_since: float | None = None
        self._fault = ""
        self._overflowing = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Write from here on."""
        self._thread.start()

    def add(self, answered: AnsweredRecord) -> bool:
        """Let an answer be recorded, and return whether it will be; never waits."""
        if not self._has_place():
            return False
        if self._makes_at_once and not answered.batch and answered.characters <= _MOST_AT_ONCE:
            try:
                line = self._content_at_once.prediction(answered)
            except Exception:  # noqa: BLE001, S110 - an answer never fails for the log; the thread tries it again, and counts what fails
                pass
            else:
                self._put(line, len(line))
                return True
        self._put(answered, answered.characters)
        return True

    def add_feedback(self, feedback: LoggedFeedback) -> bool:
        """Let a feedback be recorded, and return whether it will be; never waits, and takes no more than half of the queue.

        Args:
            feedback: Its comment and its fields as they were sent: what is kept of them is decided, redacted and digested on the thread.
        """
        # The other half of the queue is for answers: nobody sends those again.
        if self._crowded or not self._has_place():
            return False
        self._put(feedback, _characters_of(feedback))
        return True

    def state(self) -> dict[str, Any]:
        """Return what this worker says of its log."""
        fault = self.fault
        return {
            "state": "failing" if fault else "writing",
            "fault": fault or None,
            "text": self._settings.log_text,
            "columns": list(self._settings.columns),
            "waiting": len(self._queue),
            "written": self._counts.written,
            "dropped": dict(self._counts.dropped),
        }

    def close(self) -> None:
        """Write what waits, and close the files; what the disk does not take in time is counted as dropped."""
        if not self._thread.is_alive():
            return
        self._ending.set()
        self._thread.join(_CLOSE_S)
        left = len(self._queue) + self._in_hand
        if left:
            fault = self.fault
            self._counts.drop(DISK if fault else SHUTDOWN, left)
            _report(f"{left} records are missing in the prediction log: {fault or 'the service ended first'}")

    @property
    def fault(self) -> str:
        """Why nothing is written at the moment; empty while all is well."""
        since = self._writing_since
        stuck = since is not None and time.monotonic() - since > _STUCK_S
        return "the disk does not answer" if stuck else self._fault

    @property
    def _crowded(self) -> bool:
        return len(self._queue) * 2 > self._most

    def _has_place(self) -> bool:
        """Return whether the queue takes one more; counts it as dropped where it does not."""
        if len(self._queue) < self._most and self._characters_added - self._characters_taken <= _MOST_CHARACTERS:
            return True
        fault = self.fault
        self._counts.drop(DISK if fault else QUEUE)
        if not self._overflowing:
            self._overflowing = True
            _report(f"records are dropped from the prediction log: {fault or 'more come than are written'}; answers go on")
        return False

    def _put(self, item: Waiting, characters: int) -> None:
        self._characters_added += characters
        self._queue.append(item)

    def _run(self) -> None:
        # The rules of the redaction take time to compile: not on the event loop.
        self._content.prepare()
        self._content_at_once.prepare()
        self._makes_at_once = True
        while not self._ending.wait(self._turn()):
            pass
        deadline = time.monotonic() + _CLOSE_S
        while self._attempt(self._write) and self._queue and time.monotonic() < deadline:
            pass
        if not self._in_hand:
            self._attempt(self._close_files)

    def _close_files(self) -> None:
        self._predictions.close()
        self._feedback.close()

    def _turn(self) -> float:
        """Write some of what waits, and return how long to pause before the next turn."""
        began = time.thread_time()
        if not self._attempt(self._write):
            return _RETRY_S
        if not self._queue:
            return _PAUSE_S
        return 0.0 if self._crowded else (time.thread_time() - began) * (1 / _SHARE - 1)

    def _attempt(self, work: Callable[[], object]) -> bool:
        """Return whether the disk took it; says so once when that changes."""
        self._writing_since = time.monotonic()
        try:
            work()
        except OSError as error:
            self._change(f"{self._folder}: {error.strerror}")
            return False
        finally:
            self._writing_since = None
        self._change(self._room.fault)
        if self._overflowing and len(self._queue) * 2 <= self._most:
            self._overflowing = False
            _report(f"records are no longer dropped from the prediction log; {sum(self._counts.dropped.values())} were, since the start")
        return True

    def _change(self, fault: str) -> None:
        former, self._fault = self._fault, fault
        if fault and not former:
            _report(f"the prediction log is not written: {fault}; answers go on")
        elif former and not fault:
            _report(f"the prediction log is written again: {self._folder}")

    def _write(self) -> None:
        """Write what an earlier turn left, and then what can be made into lines within a turn.

        Raises:
            OSError: The disk does not take it.
        """
        self._write_lines()
        for file in (self._predictions, self._feedback):
            file.close_when_due()
        if self._queue and not self._room.has_room():
            self._take_all()
            return
        self._make_lines()
        self._write_lines()

    def _write_lines(self) -> None:
        for file in (self._predictions, self._feedback):
            self._room.add(len(file.unwritten))
            file.write()
        written, self._in_hand = self._in_hand, 0
        if written:
            self._counts.write(written)

    def _take_all(self) -> None:
        """Drop what waits: the folder has no room for it."""
        while self._queue:
            self._taken()
            self._counts.drop(FOLDER)

    def _taken(self) -> Waiting:
        item = self._queue.popleft()
        self._characters_taken += _characters_of(item)
        return item

    def _make_lines(self) -> None:
        end = time.perf_counter() + _TURN_S
        predictions, feedback = [], []
        while self._queue and time.perf_counter() < end:
            item = self._taken()
            try:
                if isinstance(item, bytes):
                    predictions.append(item)
                elif isinstance(item, AnsweredRecord):
                    predictions.append(self._content.prediction(item))
                else:
                    feedback.append(self._content.feedback(item))
            except Exception:  # noqa: BLE001 - whatever a rule or a value raises: the record is left out, and the log goes on
                self._counts.drop(RECORD)
                continue
            self._in_hand += 1
        self._predictions.unwritten += b"".join(predictions)
        self._feedback.unwritten += b"".join(feedback)


def _characters_of(item: Waiting) -> int:
    if isinstance(item, bytes):
        return len(item)
    if isinstance(item, AnsweredRecord):
        return item.characters
    texts = [item.comment, *(item.fields or {}).values()]
    return sum(len(text) for text in texts if isinstance(text, str))


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the service's log

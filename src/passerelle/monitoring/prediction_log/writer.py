"""The prediction log of one worker: a bounded queue, and a thread that writes what is in it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from passerelle.log_settings import LogSettings
from passerelle.monitoring.prediction_log.content import AnsweredRecord, LoggedContent
from passerelle.monitoring.prediction_log.folder_room import FolderRoom
from passerelle.monitoring.prediction_log.line_queue import LineQueue
from passerelle.monitoring.prediction_log.log_file import FEEDBACK, PREDICTIONS, FileLimits, LogFile, worker_name
from passerelle.monitoring.prediction_log.log_metrics import DISK, FOLDER, QUEUE, SHUTDOWN, LogMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback

#: The thread works for so long at a time, and at most this share of the time: the event loop needs the interpreter too.
_TURN_S, _SHARE = 0.0005, 0.25
#: What a killed process loses waits for no longer than this and a turn; under load the event loop makes nearly all lines meanwhile.
_PAUSE_S = 0.25
_RETRY_S = 1.0
#: A write that takes longer is reported as a fault of the disk.
_STUCK_S = 2.0
#: Longest time for what still waits when the service ends.
_CLOSE_S = 5.0


class PredictionLog:
    """Records answers and feedback; never waits for the disk.

    Records are added from one thread, the event loop. Whole lines are written together, a few milliseconds' worth at a time: a write for
    each record would hand the interpreter back and forth as often. Of what a write does not finish, one line is cut, as with one a line.

    Args:
        settings: Where the log lies, and what it holds.
        registry: Of the service's metrics.
    """

    def __init__(self, settings: LogSettings, registry: CollectorRegistry | None = None) -> None:
        self._settings = settings
        self._folder = Path(settings.prediction_log).resolve()
        self._counts = LogMetrics(registry)
        self._queue = LineQueue(LoggedContent(settings), self._counts, settings.log_queue)
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
        return self._queue.put(answered) or self._drop()

    def add_feedback(self, feedback: LoggedFeedback) -> bool:
        """Let a feedback be recorded, and return whether it will be; never waits, and takes no more than half of the queue.

        Args:
            feedback: Its comment and its fields as they were sent: what is kept of them is decided, redacted and digested on the thread.
        """
        return self._queue.put_feedback(feedback)

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

    def _drop(self) -> bool:
        """Count an answer for which there is no room."""
        fault = self.fault
        self._counts.drop(DISK if fault else QUEUE)
        if not self._overflowing:
            self._overflowing = True
            _report(f"records are dropped from the prediction log: {fault or 'more come than are written'}; answers go on")
        return False

    def _run(self) -> None:
        self._queue.prepare()
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
        if self._queue.few:
            return _PAUSE_S
        return 0.0 if self._queue.crowded else (time.thread_time() - began) * (1 / _SHARE - 1)

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
        if self._overflowing and not self._queue.crowded:
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
            self._counts.drop(FOLDER, self._queue.clear())
            return
        lines = self._queue.take(_TURN_S)
        self._predictions.unwritten += lines.predictions
        self._feedback.unwritten += lines.feedback
        self._in_hand += lines.records
        self._write_lines()

    def _write_lines(self) -> None:
        for file in (self._predictions, self._feedback):
            self._room.add(len(file.unwritten))
            file.write()
        written, self._in_hand = self._in_hand, 0
        if written:
            self._counts.write(written)


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the service's log

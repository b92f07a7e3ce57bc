"""The prediction log of one worker: a bounded queue, and what hands it over to the process that writes it."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from passerelle.log_settings import LogSettings
from passerelle.monitoring.prediction_log.content_rules import rules_of
from passerelle.monitoring.prediction_log.drop_reasons import DISK, PROCESS, QUEUE, RECORD, SHUTDOWN
from passerelle.monitoring.prediction_log.hand_over import MOST_BYTES, TOGETHER, HandOver
from passerelle.monitoring.prediction_log.log_messages import FEEDBACK_MARK, NOTHING, RecordValues, WriterSettings
from passerelle.monitoring.prediction_log.log_metrics import LogMetrics
from passerelle.monitoring.prediction_log.log_process import LogProcess
from passerelle.monitoring.prediction_log.record import LoggedFeedback

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel

#: What a killed worker loses waits for no longer than this; under load the event loop hands over nearly all records meanwhile.
_PAUSE_S = 0.1
#: A process that has records and says nothing for so long is reported: the disk does not answer. To begin with it may take longer.
_STUCK_S, _STUCK_AT_START_S = 2.0, 10.0
#: Longest time for what still waits when the service ends.
_CLOSE_S = 5.0
#: A longer text is handed over at once.
_LONG_CHARACTERS = 4_096


class PredictionLog:
    """Records answers and feedback; never waits for the disk.

    Records are added from one thread, the event loop, which hands them over to a process that redacts, makes the lines and writes them:
    `TOGETHER` at a time, since the event loop shares its interpreter with every thread of the worker. A thread hands over what has waited
    for a while, and looks after the process.

    Args:
        settings: Where the log lies, and what it holds.
        registry: Of the service's metrics.
    """

    def __init__(self, settings: LogSettings, registry: CollectorRegistry | None = None) -> None:
        self._settings = settings
        self._folder = Path(settings.prediction_log).resolve()
        self._counts = LogMetrics(registry)
        self._most = settings.log_queue
        self._records: deque[RecordValues] = deque()
        #: Records may be put until so many are there.
        self._room = min(TOGETHER, self._most)
        self._model: LoadedModel | None = None
        self._number = 0
        limits = (settings.log_file_bytes, settings.log_file_age_s, settings.log_max_bytes)
        self._hand_over = HandOver()
        self._process = LogProcess(WriterSettings(str(self._folder), *rules_of(settings), *limits), self._hand_over)
        # Of what the process was sent, and says that it is done with, since it was started.
        self._counted = NOTHING
        self._reported = ""
        self._overflowing = False
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Write from here on."""
        self._thread.start()

    def number_of(self, model: LoadedModel) -> int:
        """Return what stands in front of the record of an answer of this model."""
        if model is not self._model:
            self._number = self._hand_over.number_of(model)
            # The next answer is nearly always the same model's.
            self._model = model
        return self._number

    def add(self, answered: RecordValues) -> bool:
        """Let an answer be recorded, and return whether it will be; never waits.

        Args:
            answered: The number of the model, and then the fields of `AnsweredRecord`.
        """
        if not self._room and not self._make_room():
            return self._drop()
        self._room -= 1
        self._records.append(answered)
        for value in answered[1].values():
            if isinstance(value, str) and len(value) > _LONG_CHARACTERS:
                self._room = 0
        return True

    def add_feedback(self, feedback: LoggedFeedback) -> bool:
        """Let a feedback be recorded, and return whether it will be; never waits, and takes no more than half of the queue.

        Args:
            feedback: Its comment and its fields as they were sent: the process decides what is kept of them, redacts and digests it.
        """
        # The other half of the queue is for answers: nobody sends those again.
        if self._waiting * 2 > self._most or not self._make_room():
            return False
        self._room -= 1
        self._records.append((FEEDBACK_MARK, *feedback))
        return True

    def state(self) -> dict[str, Any]:
        """Return what this worker says of its log."""
        fault = self.fault
        return {
            "state": "failing" if fault else "writing",
            "fault": fault or None,
            "text": self._settings.log_text,
            "columns": list(self._settings.columns),
            "waiting": self._waiting,
            "written": self._counts.written,
            "dropped": dict(self._counts.dropped),
        }

    def close(self) -> None:
        """Write what waits, and close the files; what the disk does not take in time is counted as dropped."""
        if not self._thread.is_alive():
            return
        before = sum(self._counts.dropped.values())
        self._ending.set()
        self._thread.join(_CLOSE_S + 1)
        left = self._waiting
        if left:
            self._counts.drop(DISK if self.fault else SHUTDOWN, left)
        if missing := sum(self._counts.dropped.values()) - before:
            _report(f"{missing} records are missing in the prediction log: {self.fault or 'the service ended first'}")

    @property
    def fault(self) -> str:
        """Why nothing is written at the moment; empty while all is well."""
        process = self._process
        if not process.runs:
            return process.fault
        longest = _STUCK_S if process.has_spoken else _STUCK_AT_START_S
        if self._outstanding and time.monotonic() - process.heard_s > longest:
            return "the disk does not answer"
        return process.progress.fault

    @property
    def _waiting(self) -> int:
        """Number of records that are put and not written."""
        return len(self._records) + self._hand_over.unsent + self._outstanding

    @property
    def _outstanding(self) -> int:
        """Number of records that the process was sent and has not written."""
        return self._hand_over.sent - self._counted.written - sum(self._counted.dropped.values())

    @property
    def _full(self) -> bool:
        sizes = self._hand_over
        size_bytes = sizes.unsent_bytes + sizes.sent_bytes - self._counted.done_bytes
        return self._waiting >= self._most or size_bytes > MOST_BYTES

    def _make_room(self) -> bool:
        """Hand over what waits, and return whether there is room for more."""
        if self._lock.acquire(blocking=False):  # otherwise the thread does it just now
            try:
                self._pass_on()
                if self._full:
                    self._listen()
            finally:
                self._lock.release()
        self._room = 0 if self._full else min(TOGETHER, self._most - self._waiting)
        return self._room > 0

    def _drop(self) -> bool:
        """Count an answer for which there is no room."""
        fault = self.fault
        self._counts.drop(DISK if fault else QUEUE)
        if not self._overflowing:
            self._overflowing = True
            _report(f"records are dropped from the prediction log: {fault or 'more come than are written'}; answers go on")
        return False

    def _run(self) -> None:
        self._turn()
        while not self._ending.wait(_PAUSE_S):
            self._turn()
        deadline = time.monotonic() + _CLOSE_S
        while self._records or not self._hand_over.is_empty or not self._process.runs:
            if time.monotonic() > deadline or not self._waiting:
                break
            self._turn()
            self._process.wait(_PAUSE_S / 10)
        self._process.close_input()
        while self._process.runs and time.monotonic() < deadline:
            self._process.wait(_PAUSE_S)
            self._turn()

    def _turn(self) -> None:
        """Hand over what waits, and look after the process."""
        with self._lock:
            self._process.start_when_due()
            self._pass_on()
            self._listen()
            if self._process.is_over():
                self._counts.drop(PROCESS, self._outstanding)
                self._hand_over.forget_sent()
                self._counted = NOTHING
            elif not self._outstanding:
                self._process.heard_s = time.monotonic()
        self._report_changes()

    def _pass_on(self) -> None:
        """Hand over what has been put by now."""
        records = [self._records.popleft() for _ in range(len(self._records))]
        if records and (failed := self._hand_over.put(records)):
            self._counts.drop(RECORD, failed)
        self._hand_over.pump()

    def _listen(self) -> None:
        """Count what the process has done since it was last heard."""
        for progress in self._process.listen():
            former, self._counted = self._counted, progress
            self._counts.write(progress.written - former.written)
            for reason, records in progress.dropped.items():
                self._counts.drop(reason, records - former.dropped.get(reason, 0))

    def _report_changes(self) -> None:
        former, self._reported = self._reported, self.fault
        if self._reported and not former:
            _report(f"the prediction log is not written: {self._reported}; answers go on")
        elif former and not self._reported:
            _report(f"the prediction log is written again: {self._folder}")
        if self._overflowing and not self._full and self._waiting * 2 <= self._most:
            self._overflowing = False
            _report(f"records are no longer dropped from the prediction log; {sum(self._counts.dropped.values())} were, since the start")


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the service's log

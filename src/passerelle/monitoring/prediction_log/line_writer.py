"""The process that writes the prediction log of one worker: it redacts, makes the lines and writes them, so that the worker need not.

    python -m passerelle.monitoring.prediction_log.line_writer

It reads what its worker hands over from its standard input, ends once that is closed and everything is written, and imports no more than
it needs: each worker has one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import termios
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from passerelle.monitoring.prediction_log.content import AnsweringModel, ContentRules, LoggedContent
from passerelle.monitoring.prediction_log.drop_reasons import DISK, FOLDER, REASONS, RECORD
from passerelle.monitoring.prediction_log.folder_room import FolderRoom
from passerelle.monitoring.prediction_log.log_file import FEEDBACK, PREDICTIONS, FileLimits, LogFile, worker_name
from passerelle.monitoring.prediction_log.log_messages import (
    FEEDBACK_MARK,
    MODELS,
    PIECE_BYTES,
    RECORDS,
    MessageReader,
    Progress,
    RecordValues,
    WriterSettings,
    packed,
)
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from passerelle.monitoring.prediction_log.turns import Turns

#: Answers come first where the processor is busy; it must not starve either, or records are dropped.
_NICENESS = 5
_RETRY_S = 1.0
#: The worker waits a second longer for it.
_LAST_S = 4.0
#: Between two messages about its progress while it works on one of the worker's.
_TELL_S = 0.1
_GATHER_S = 0.05
#: Between two looks whether a file is old enough to be closed.
_LOOK_S = 1.0
#: A message that is longer than a pipe takes in one piece could be cut.
_LONGEST_FAULT = 1_000


class LineWriter:
    """Makes the lines of records and writes them.

    Args:
        settings: Where the log lies, and what it holds.
        tell: Tells the worker how far it is.
        patient: Waits until the disk is to be tried again, and returns whether it is.
        let_others_run: Is called before each record.
    """

    def __init__(
        self, settings: WriterSettings, tell: Callable[[Progress], None], patient: Callable[[], bool], let_others_run: Callable[[], None]
    ) -> None:
        self._folder = Path(settings.folder)
        self._content = LoggedContent(ContentRules(settings.columns, settings.text, settings.key))
        limits, worker = FileLimits(settings.file_bytes, settings.file_age_s), worker_name(time.time())
        self._predictions = LogFile(self._folder, PREDICTIONS, worker, limits)
        self._feedback = LogFile(self._folder, FEEDBACK, worker, limits)
        self._room = FolderRoom(self._folder, settings.most_bytes)
        self._models: dict[int, AnsweringModel] = {}
        self._tell, self._patient, self._let_others_run = tell, patient, let_others_run
        self._told_s = 0.0
        self._in_hand = 0
        self._written = self._done_bytes = 0
        self._dropped = dict.fromkeys(REASONS, 0)
        self._fault = ""

    def prepare(self) -> None:
        """Load what the lines need, which takes time once."""
        self._content.prepare()
        self.tell()

    def learn(self, models: Mapping[int, tuple[str, str, list[bytes]]]) -> None:
        """Take what lines say of these models from here on."""
        for number, (registered_model, artifact_digest, golden_inputs) in models.items():
            self._models[number] = AnsweringModel(registered_model, artifact_digest, frozenset(golden_inputs))

    def write(self, records: Sequence[RecordValues]) -> None:
        """Write the lines of these records; what the disk does not take before patience ends is counted."""
        if not self._done(self._close_when_due) or not self._has_room():
            self._dropped[FOLDER if self._room.fault else DISK] += len(records)
            return
        predictions, feedback = list[bytes](), list[bytes]()
        for record in records:
            self._let_others_run()
            line = self._line_of(record)
            if line is not None:
                (feedback if record[0] == FEEDBACK_MARK else predictions).append(line)
            if time.monotonic() - self._told_s > _TELL_S:
                self.tell()
        self._predictions.unwritten += b"".join(predictions)
        self._feedback.unwritten += b"".join(feedback)
        self._in_hand = len(predictions) + len(feedback)
        if self._done(self._write_lines):
            self._written += self._in_hand
        else:
            self._dropped[DISK] += self._in_hand
        self._in_hand = 0

    def finish(self, size_bytes: int) -> None:
        """Count the bytes of a message as done."""
        self._done_bytes += size_bytes

    def look(self) -> None:
        """Close the files that are old enough."""
        former = self._fault
        self._done(self._close_when_due)
        if self._fault != former:
            self.tell()

    def close(self) -> None:
        """Close the files."""
        self._done(self._close_files)
        self.tell()

    def tell(self) -> None:
        """Tell the worker how far this is."""
        self._told_s = time.monotonic()
        self._tell(Progress(self._written, self._dropped, self._done_bytes, self._fault))

    def _line_of(self, record: RecordValues) -> bytes | None:
        """Return the line of a record; None where no line can hold it."""
        try:
            if record[0] == FEEDBACK_MARK:
                return self._content.feedback(LoggedFeedback(*record[1:]))
            return self._content.prediction(record[1:], self._models[record[0]])
        except Exception:  # noqa: BLE001 - whatever a rule or a value raises: the record is left out, and the log goes on
            self._dropped[RECORD] += 1
            return None

    def _has_room(self) -> bool:
        return self._done(self._room.has_room) and not self._room.fault

    def _done(self, work: Callable[[], object]) -> bool:
        """Try some work until the disk takes it, and return whether it did before patience ended."""
        while True:
            try:
                work()
            except OSError as error:
                self._fault = f"{self._folder}: {error.strerror}"[:_LONGEST_FAULT]
                self.tell()
                if not self._patient():
                    return False
            else:
                self._fault = self._room.fault
                return True

    def _close_when_due(self) -> None:
        for file in (self._predictions, self._feedback):
            file.close_when_due()

    def _write_lines(self) -> None:
        for file in (self._predictions, self._feedback):
            self._room.add(len(file.unwritten))
            file.write()

    def _close_files(self) -> None:
        for file in (self._predictions, self._feedback):
            file.close()


class _Worker:
    """The worker at the other ends of the pipes.

    Attributes:
        turns: How the processor is shared with it.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target
        self._input = select.poll()
        self._input.register(source, select.POLLIN)
        self._end = select.poll()
        self._end.register(source, 0)
        self._gone_s: float | None = None
        self.turns = Turns()
        os.set_blocking(target, False)

    def tell(self, progress: Progress) -> None:
        """Send what it can take at once; the next message says all of it again."""
        with contextlib.suppress(OSError):
            os.write(self._target, packed(tuple(progress)))

    def has_sent(self, seconds: float) -> bool:
        """Return whether there is something to read, or the end, within this time."""
        return bool(self._input.poll(seconds * 1_000))

    def gather(self) -> None:
        """Let some more come, unless a part of it is there or the worker is gone: many lines made together take less time each.

        Nobody has to be woken up by what comes meanwhile.
        """
        patience_s = 0.0 if self._waiting_bytes() >= PIECE_BYTES else _GATHER_S
        gone = bool(self._end.poll(patience_s * 1_000))
        self.turns.set_pause(self._waiting_bytes(), hurried=gone)

    def _waiting_bytes(self) -> int:
        waiting = array("i", [0])
        fcntl.ioctl(self._source, termios.FIONREAD, waiting)
        return waiting[0]

    def patient(self) -> bool:
        """Wait until the disk is to be tried again; False some seconds after the worker closed its end."""
        gone = bool(self._end.poll(0.0 if self._gone_s is not None else _RETRY_S * 1_000))
        if not gone:
            return True
        now = time.monotonic()
        self._gone_s = now if self._gone_s is None else self._gone_s
        if now - self._gone_s > _LAST_S:
            return False
        time.sleep(_RETRY_S / 4)
        return True


def write_until_end(source: int, target: int) -> None:
    """Write what comes from a pipe until its other end is closed, and say how far this is on another one."""
    worker, messages = _Worker(source, target), MessageReader(source)
    writer: LineWriter | None = None
    while not messages.ended:
        if not worker.has_sent(_LOOK_S):
            if writer is not None:
                writer.look()
            continue
        for (kind, content), size_bytes in messages.read():
            if writer is None:
                writer = LineWriter(WriterSettings(*content), worker.tell, worker.patient, worker.turns.let_others_run)
                writer.prepare()
            elif kind == MODELS:
                writer.learn(content)
            elif kind == RECORDS:
                writer.write(content)
                writer.finish(size_bytes)
        if writer is not None:
            writer.tell()
        worker.gather()
    if writer is not None:
        writer.close()


def main() -> int:
    """Write until the worker closes its end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        # Sent to all processes of the service: it ends after its worker, with everything written.
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
        # Waking up, it never takes the processor from a worker.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    write_until_end(sys.stdin.fileno(), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())

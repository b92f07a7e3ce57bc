"""The process that writes the prediction log of one worker, as the worker sees it: started, listened to, and started again if it ends."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from passerelle.monitoring.prediction_log.hand_over import HandOver
from passerelle.monitoring.prediction_log.log_messages import NOTHING, MessageReader, Progress, WriterSettings

_COMMAND = (sys.executable, "-P", "-s", "-m", "passerelle.monitoring.prediction_log.line_writer")
#: The folder of the package.
_ROOT = Path(__file__).resolve().parents[3]
#: Between two starts; twice as long after each process that ended soon, up to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_SOON_S = 10.0


class LogProcess:
    """The process, and the next one after it.

    Attributes:
        progress: What the process said last.
        heard_s: When that was, by `time.monotonic`.
        fault: Why there is no process; empty while there is one.

    Args:
        settings: What it is told first.
        hand_over: What is sent to it.
    """

    def __init__(self, settings: WriterSettings, hand_over: HandOver) -> None:
        self.progress = NOTHING
        self.heard_s = 0.0
        self.fault = ""
        self._settings, self._hand_over = settings, hand_over
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: MessageReader | None = None
        self._closed = False
        self._started_s = self._next_start_s = float("-inf")
        self._pause_s = _FIRST_PAUSE_S

    @property
    def runs(self) -> bool:
        """Whether there is one that has not ended, as far as was heard."""
        return self._process is not None

    @property
    def has_spoken(self) -> bool:
        """Whether it has said anything yet."""
        return self.progress is not NOTHING

    @property
    def pid(self) -> int | None:
        """Its number."""
        return None if self._process is None else self._process.pid

    def start_when_due(self) -> None:
        """Start it where there is none, unless one ended a moment ago."""
        now = time.monotonic()
        if self.runs or self._closed or now < self._next_start_s:
            return
        self._started_s, self._next_start_s = now, now + self._pause_s
        try:
            process = _started()
        except OSError as error:
            self._ended(f"the process that writes it cannot be started: {error.strerror}")
            return
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        os.set_blocking(process.stdout.fileno(), False)
        self._process, self._messages = process, MessageReader(process.stdout.fileno())
        self.progress, self.heard_s, self.fault = NOTHING, now, ""
        self._hand_over.connect(process.stdin.fileno(), self._settings)

    def listen(self) -> Iterator[Progress]:
        """Yield what it says by now."""
        while self._messages is not None and not self._messages.ended:
            try:
                for content, _ in self._messages.read():
                    self.progress = Progress(*content)
                    self.heard_s = time.monotonic()
                    yield self.progress
            except BlockingIOError:
                return

    def is_over(self) -> bool:
        """Return whether the process has ended since the last call; what it said last was heard before."""
        if self._process is None or self._messages is None or not self._messages.ended:
            return False
        self._clear_up(self._process)
        return True

    def wait(self, seconds: float) -> None:
        """Wait until it says something or ends, or for this time."""
        stdout = None if self._process is None else self._process.stdout
        if stdout is None:
            time.sleep(seconds)
        else:
            # Not `select`, which takes no number from 1,024 on: a service with many connections has such.
            messages = select.poll()
            messages.register(stdout, select.POLLIN)
            messages.poll(seconds * 1_000)

    def wait_for_end(self) -> None:
        """Wait until it has ended, after `close_input`."""
        if self._process is not None:
            self._clear_up(self._process)

    def close_input(self) -> None:
        """Let it end once it has written what it was sent."""
        if self._process is not None and self._process.stdin is not None:
            self._closed = True
            self._hand_over.disconnect()
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _clear_up(self, process: subprocess.Popen[bytes]) -> None:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            # It has closed its output, and so is about to end.
            status = process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if self._closed:
            self._process = self._messages = None
            return
        by = f"signal {-status}" if status < 0 else f"status {status}"
        self._ended(f"the process that writes it ended with {by}, and is started again")

    def _ended(self, fault: str) -> None:
        self._process = self._messages = None
        self.progress = NOTHING
        self._hand_over.disconnect()
        self.fault = fault
        soon = time.monotonic() - self._started_s < _SOON_S
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S) if soon else _FIRST_PAUSE_S


def _started() -> subprocess.Popen[bytes]:
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    search_path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        # The key of the digests and all other settings go through the pipe: nobody finds them in its environment.
        env={**inherited, "PYTHONPATH": search_path},
        # What ends the worker's group leaves it alone: it ends once it has written what the worker sent.
        start_new_session=True,
        bufsize=0,
    )

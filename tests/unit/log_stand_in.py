"""A thread in place of the process that writes the prediction log, over real pipes: unit tests start no process."""

from __future__ import annotations

import os
import threading

from passerelle.monitoring.prediction_log.line_writer import write_until_end


class WritingThread:
    """What `LogProcess` needs of a process."""

    def __init__(self) -> None:
        source, stdin = os.pipe()
        stdout, target = os.pipe()
        self.stdin, self.stdout = os.fdopen(stdin, "wb", 0), os.fdopen(stdout, "rb", 0)
        self.pid = os.getpid()
        self._thread = threading.Thread(target=self._run, args=(source, target), daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its status."""
        self._thread.join(timeout)
        return 0

    def kill(self) -> None:
        """Leave it alone: it ends with its input."""

    def _run(self, source: int, target: int) -> None:
        try:
            write_until_end(source, target)
        finally:
            os.close(source)
            os.close(target)

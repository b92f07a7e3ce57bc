"""No silence of a command is long: where nothing is printed for some seconds, a line on stderr says that it is still at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: A little less than five seconds, and more than what a training leaves between its own lines.
_LONGEST_S = 4.8


class Silence:
    """What was printed last, and what is said of a command that prints nothing.

    Args:
        command: Returns the name of the command.
        say: Prints a line.
        longest_s: Longest silence.
        clock: In seconds.
    """

    def __init__(
        self,
        command: Callable[[], str],
        say: Callable[[str], None],
        *,
        longest_s: float = _LONGEST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command, self._say, self._longest_s, self._clock = command, say, longest_s, clock
        self._ended = threading.Event()
        self._began_s = self._heard_s = clock()
        self._thread = threading.Thread(target=self._watch, name="silence", daemon=True)

    def heard(self) -> None:
        """Note that something was printed."""
        self._heard_s = self._clock()

    def end(self) -> None:
        """Say nothing more: the command is done, or goes on until somebody stops it, and has said so."""
        self._ended.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def start(self) -> None:
        """Watch from a thread of its own until `end`."""
        self._thread.start()

    def break_if_long(self) -> float:
        """Say that the command is still at work where nothing was printed for long; return the seconds until that may be so again."""
        now = self._clock()
        left = self._heard_s + self._longest_s - now
        if left > 0:
            return left
        self._heard_s = now
        # A pipe that nobody reads any longer ends the command where it prints, not here.
        with suppress(OSError, ValueError):
            self._say(f"  {self._command()} is still at work, {now - self._began_s:.0f} s")
        return self._longest_s

    def _watch(self) -> None:
        wait_s = self._longest_s
        while not self._ended.wait(wait_s):
            wait_s = self.break_if_long()


#: Of the command that runs in this process; whichever thread prints is heard.
_current: list[Silence] = []


@contextmanager
def no_long_silence(command: Callable[[], str], say: Callable[[str], None]) -> Iterator[None]:
    """Break every long silence of what runs inside; no thread is left afterwards."""
    silence = Silence(command, say)
    _current.append(silence)
    silence.start()
    try:
        yield
    finally:
        _current.remove(silence)
        silence.end()


def heard() -> None:
    """Note that something was printed."""
    for silence in _current:
        silence.heard()


def silence_from_here() -> None:
    """Say nothing more of the command that runs: it goes on until somebody stops it."""
    for silence in _current:
        silence.end()

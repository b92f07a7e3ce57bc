"""Says what a training is doing, so that no silence is long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from passerelle.training.cross_validation import ALL

#: Longest silence, a little less than five seconds.
_SILENCE_S = 4.5
#: A step that began just now has no time to tell.
_SHORTEST_S = 1.0


class Heartbeat:
    """Passes lines on, and says every few seconds what goes on where no line comes.

    Args:
        progress: Called with each line, one at a time.
        silence_s: Longest silence.
    """

    def __init__(self, progress: Callable[[str], None], *, silence_s: float = _SILENCE_S) -> None:
        self._progress, self._silence_s = progress, silence_s
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._step, self._began_s = "", time.monotonic()
        self._said_s = self._began_s
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def say(self, line: str) -> None:
        """Pass a line on."""
        with self._lock:
            self._progress(line)
            self._said_s = time.monotonic()

    def step(self, name: str) -> None:
        """Note what begins now: `still at NAME, 12 s` is said while it lasts."""
        with self._lock:
            self._step, self._began_s = name, time.monotonic()

    def _beat(self) -> None:
        wait_s = self._silence_s
        while not self._ended.wait(wait_s):
            with self._lock:
                now = time.monotonic()
                wait_s = self._said_s + self._silence_s - now
                if wait_s <= 0:
                    seconds = now - self._began_s
                    self._progress(f"still {self._step}" + (f", {seconds:.0f} s" if seconds >= _SHORTEST_S else ""))
                    self._said_s, wait_s = now, self._silence_s


class FitSteps:
    """Says which candidate is fitted on which fold.

    Attributes:
        names: Of the candidates, by their places.

    Args:
        heartbeat: Told of each step.
        names: As the attribute.
        folds: Number of folds.
    """

    def __init__(self, heartbeat: Heartbeat, names: Sequence[str], *, folds: int) -> None:
        self.names = list(names)
        self._heartbeat, self._folds, self._fold = heartbeat, folds, 0

    def before(self, place: int, fold: int) -> None:
        """Note what is fitted next: the candidate at a place or `ALL`, on a fold or, for 0, on all records."""
        if fold > 1 and fold != self._fold:
            self._say_done(fold - 1)
        self._fold = fold
        name = "the candidates" if place == ALL else self.names[place]
        self._heartbeat.step(f"fitting {name}, {f'fold {fold} of {self._folds}' if fold else 'all folds together'}")

    def crossed(self) -> None:
        """Note that all folds are done."""
        self._say_done(self._folds)

    def _say_done(self, fold: int) -> None:
        self._heartbeat.say(f"fold {fold} of {self._folds} done")

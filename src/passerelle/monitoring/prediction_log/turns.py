"""How the process that writes the prediction log shares the processor with the workers: it works in short turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Of processor time: no answer waits longer than that behind lines.
TURN_S: Final = 0.000_25
#: Between two turns where little waits; less, the more does.
PAUSE_S: Final = 0.001
#: Of what waits, from which on there is no pause: a quarter of what the pipe holds.
MUCH_BYTES: Final = 1 << 18


class Turns:
    """Leaves the processor to others between turns.

    Otherwise answers would wait for the end of all lines that are made together. To yield it after each record is not enough: where the
    system shares the processors out by session or container, that leaves it to nobody, and each record finds the caches cold.

    Args:
        used_s: Processor time that this thread has used.
        sleep: Waits for some seconds.
    """

    def __init__(self, used_s: Callable[[], float] = time.thread_time, sleep: Callable[[float], None] = time.sleep) -> None:
        self._used_s, self._sleep = used_s, sleep
        self._began_s = 0.0
        self._pause_s = PAUSE_S

    def set_pause(self, waiting_bytes: int, *, hurried: bool) -> None:
        """Shorten the pauses by what waits: on a processor that is always busy, records would be dropped otherwise.

        Args:
            hurried: Whether there are to be none.
        """
        self._pause_s = 0.0 if hurried else PAUSE_S * max(0.0, 1.0 - waiting_bytes / MUCH_BYTES)

    def let_others_run(self) -> None:
        """Pause if the turn is over."""
        if self._pause_s and self._used_s() - self._began_s >= TURN_S:
            self._sleep(self._pause_s)
            self._began_s = self._used_s()

"""The service with following that a signal parks (SIGUSR1) or lets go on (SIGUSR2), to measure its cost in one and the same process."""

from __future__ import annotations

import signal
import threading

from passerelle.serving.following.worker import FollowingWorker
from service import Classifier as Classifier  # noqa: PLC0414 - what `bentoml serve` is told to serve

_GOES_ON = threading.Event()
_GOES_ON.set()
_step = FollowingWorker._step


def _step_unless_parked(self: FollowingWorker) -> None:
    _GOES_ON.wait()
    _step(self)


FollowingWorker._step = _step_unless_parked  # type: ignore[method-assign]
signal.signal(signal.SIGUSR1, lambda *_: _GOES_ON.clear())
signal.signal(signal.SIGUSR2, lambda *_: _GOES_ON.set())

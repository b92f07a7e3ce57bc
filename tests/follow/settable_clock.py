"""The service with a clock that SIGUSR1 sets back by an hour, as `time` shows it: the machine's own clock is everybody's."""

from __future__ import annotations

import signal
import time

from service import Classifier as Classifier  # noqa: PLC0414 - what `bentoml serve` is told to serve

BACK_S = 3_600
_offsets_s = [0]
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _offsets_s[-1]
time.time_ns = lambda: _time_ns() + _offsets_s[-1] * 1_000_000_000
signal.signal(signal.SIGUSR1, lambda *_: _offsets_s.append(-BACK_S))

"""The service with a clock that SIGUSR1 sets back by a day and SIGUSR2 ahead by two, as Python shows it: the machine's is everybody's."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta, tzinfo

from passerelle import api_keys
from service import Classifier as Classifier  # noqa: PLC0414 - what `bentoml serve` is told to serve

DAY_S = 86_400
_offsets_s = [0]
_time, _time_ns = time.time, time.time_ns


class _Moment(datetime):
    """A moment by the clock that was set."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Moment:
        """Return the moment that it is now."""
        return super().now(tz) + timedelta(seconds=_offsets_s[-1])


time.time = lambda: _time() + _offsets_s[-1]
time.time_ns = lambda: _time_ns() + _offsets_s[-1] * 1_000_000_000
api_keys.datetime = _Moment  # type: ignore[attr-defined]
signal.signal(signal.SIGUSR1, lambda *_: _offsets_s.append(-DAY_S))
signal.signal(signal.SIGUSR2, lambda *_: _offsets_s.append(2 * DAY_S))

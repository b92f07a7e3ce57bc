"""The service with a prediction log that a signal parks (SIGUSR1) or lets go on (SIGUSR2): to measure its cost within one process."""

from __future__ import annotations

import signal
from typing import Any

from passerelle.serving import endpoint
from passerelle.serving.recording import Recorder
from service import Classifier as Classifier  # noqa: PLC0414 - what `bentoml serve` is told to serve

_records = [True]


def _recorder_unless_parked(*values: Any) -> Recorder | None:
    return Recorder(*values) if _records[-1] else None


vars(endpoint)["Recorder"] = _recorder_unless_parked
signal.signal(signal.SIGUSR1, lambda *_: _records.append(False))
signal.signal(signal.SIGUSR2, lambda *_: _records.append(True))

"""Lets answers be recorded in the prediction log, where there is one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from passerelle.serving.predictor import SWITCH_SECONDS
from passerelle.serving.responses import Message, Send

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from passerelle.log_settings import LogSettings
    from passerelle.model.loaded import LoadedModel
    from passerelle.monitoring.prediction_log.writer import PredictionLog

_NO_SECOND: Mapping[str, Any] = {"label": None, "probability": None}
_ENDS = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")


class Recorder(NamedTuple):
    """Records the answers to one request.

    Attributes:
        key_name: Of the client's API key.
        began_s: When its body was read, by `time.perf_counter`.
        batch: Whether it is for several records.
    """

    log: PredictionLog
    key_name: str
    began_s: float
    batch: bool

    def add(self, model: LoadedModel, record: Mapping[str, Any], answer: Mapping[str, Any], known_ngrams: float | None) -> None:
        """Record an answer of this model; never waits."""
        seconds = time.perf_counter() - self.began_s
        top = answer["top"]
        second = top[1] if len(top) > 1 else _NO_SECOND
        # The fields of `AnsweredRecord`; to make one takes longer, and its values are what is handed over.
        self.log.add(
            (
                self.log.number_of(model),
                record,
                answer["prediction_id"],
                answer["model_version"],
                answer["label"],
                answer["probability"],
                second["label"],
                second["probability"],
                answer["review"],
                None if top else answer,
                known_ngrams,
                self.key_name,
                seconds,
                self.batch,
            )
        )


def prediction_log_of(settings: LogSettings, registry: CollectorRegistry) -> PredictionLog | None:
    """Return the log of this worker, which is not started yet; None where the settings name no folder."""
    if not settings.prediction_log:
        return None
    # Only a worker that records needs it.
    from passerelle.monitoring.prediction_log.writer import PredictionLog  # noqa: PLC0415

    return PredictionLog(settings, registry)


def write_until_shutdown(log: PredictionLog, send: Send) -> Send:
    """Start the log, and return a `send` for the lifespan that closes it once the last request was answered."""
    # The log's thread must not keep the event loop waiting for the interpreter.
    sys.setswitchinterval(SWITCH_SECONDS)
    log.start()

    async def send_and_close(message: Message) -> None:
        if message["type"] in _ENDS:
            await asyncio.to_thread(log.close)
        await send(message)

    return send_and_close

"""Files of a prediction log as its workers write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from passerelle.model.prediction_id import new_prediction_id
from passerelle.monitoring.prediction_log.record import LoggedFeedback, LoggedPrediction

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)


def prediction_id(day: date = MONDAY, hour: int = 12) -> str:
    return new_prediction_id("0a1b2c3d", datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp())


def prediction(answer: str | None = None, *, label: str = "Voirie", text: str | None = None) -> LoggedPrediction:
    return LoggedPrediction(
        prediction_id=answer or prediction_id(),
        at="2026-11-23T12:00:00.000+00:00",
        registered_model="comments",
        model_version="3",
        artifact_digest="sha256:3",
        key_name="portal",
        label=label,
        probability=0.75,
        second_label="Espaces verts",
        second_probability=0.2,
        review=False,
        characters=12,
        words=3,
        known_ngrams=0.9,
        latency_ms=0.4,
        batch=False,
        redaction=1 if text else None,
        fields={"text": text} if text else None,
    )


def feedback(answer: str, *, label: str = "Propreté", by: str = "agent-1", comment: str | None = None) -> LoggedFeedback:
    return LoggedFeedback(answer, "2026-11-24T08:00:00.000+00:00", "comments", "portal", label, by, comment, 1 if comment else None)


def line(record: NamedTuple) -> bytes:
    return orjson.dumps(record._asdict()) + b"\n"


def write_lines(log: Path, name: str, records: Sequence[NamedTuple], *, more: bytes = b"") -> Path:
    path = log / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(line, records)) + more)
    return path

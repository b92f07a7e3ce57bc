"""The id of an answer: a UUIDv7, which names the day of the answer and the run of the model that gave it."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, date, datetime

from passerelle.names import RUN_ID_LENGTH_IN_TAG

_VERSION = 7
#: The digit that holds the variant, 10 in binary, and two random bits: those of another digit.
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
#: Year 10000, which no `datetime` reaches; an id has room for more.
_END_OF_TIME_MS = 253_402_300_800_000


def new_prediction_id(run_prefix: str, now_s: float | None = None) -> str:
    """Return a new id, in the canonical form of a UUID (RFC 9562, section 5.7).

    48 bits hold the milliseconds since 1970, 42 are random, and the last 32 are the beginning of the run id, so that an answer leads
    back to its model without the log.

    Args:
        run_prefix: The first 8 hexadecimal digits of the run id.
        now_s: Seconds since 1970; by default now.
    """
    # Text from the start: numbers of 128 bits take twice the time.
    time_digits = f"{int((time.time() if now_s is None else now_s) * 1000):012x}"
    random = os.urandom(6).hex()
    return f"{time_digits[:8]}-{time_digits[8:]}-7{random[:3]}-{_VARIANTS[random[3]]}{random[4:7]}-{random[7:11]}{run_prefix}"


def is_prediction_id(text: str) -> bool:
    """Return whether the text is an id as `new_prediction_id` writes it."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return False
    of_time = parsed.int >> 80 < _END_OF_TIME_MS
    return of_time and str(parsed) == text and parsed.version == _VERSION and parsed.variant == uuid.RFC_4122


def day_of(prediction_id: str) -> date:
    """Return the day, in UTC, on which this answer was given."""
    return time_of(prediction_id).date()


def time_of(prediction_id: str) -> datetime:
    """Return when this answer was given, in UTC."""
    return datetime.fromtimestamp((uuid.UUID(prediction_id).int >> 80) / 1000, UTC)


def run_prefix_of(prediction_id: str) -> str:
    """Return the first 8 hexadecimal digits of the run id of the model that gave this answer."""
    return prediction_id[-RUN_ID_LENGTH_IN_TAG:]

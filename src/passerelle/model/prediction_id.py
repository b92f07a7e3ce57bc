"""The id of an answer: a UUIDv7, which names the day of the answer and the run of the model that gave it."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, date, datetime

from passerelle.names import RUN_ID_LENGTH_IN_TAG

_VERSION, _VARIANT = 7, 0b10
_RUN_BITS = RUN_ID_LENGTH_IN_TAG * 4
_RANDOM_BITS = 62 - _RUN_BITS
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
    milliseconds = int((time.time() if now_s is None else now_s) * 1000) & (1 << 48) - 1
    random = int.from_bytes(os.urandom(6), "big")
    value = milliseconds << 80 | _VERSION << 76 | (random & 0xFFF) << 64 | _VARIANT << 62
    value |= (random >> 12 & (1 << _RANDOM_BITS) - 1) << _RUN_BITS | int(run_prefix, 16)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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

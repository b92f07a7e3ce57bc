"""The keyed digest of a record, by which a later copy of it is recognised without its text."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from functools import lru_cache

import orjson


def record_digest(record: Mapping[str, object], key: bytes) -> str | None:
    """Return the record's HMAC-SHA256 in hexadecimal digits; None without a key.

    The order of the columns does not count, nor does a column without a value.
    """
    if not key:
        return None
    given = {column: value for column, value in record.items() if value is not None}
    try:
        content = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # whole numbers of more than 64 bits
        content = json.dumps(given, sort_keys=True).encode()
    state = _keyed(key).copy()
    state.update(content)
    return state.hexdigest()


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return the state after the key, which is the same for each record; it is copied before it is updated."""
    return hmac.new(key, digestmod="sha256")

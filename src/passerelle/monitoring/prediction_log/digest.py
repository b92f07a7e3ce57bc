"""The keyed digest of a record, by which a later copy of it is recognised without its text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache

import orjson

_BLOCK_BYTES = 64


def canonical(record: Mapping[str, object]) -> bytes:
    """Return the record as JSON, in which the order of the columns does not count."""
    try:
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # whole numbers of more than 64 bits
        return json.dumps(record, sort_keys=True).encode()


def record_digest(record: Mapping[str, object], key: bytes) -> str | None:
    """Return the record's HMAC-SHA256 in hexadecimal digits; None without a key.

    The order of the columns does not count, nor does a column without a value.
    """
    given = {column: value for column, value in record.items() if value is not None} if None in record.values() else record
    return content_digest(canonical(given), key)


def content_digest(content: bytes, key: bytes) -> str | None:
    """Return the digest of a record without empty columns, from what `canonical` returned."""
    if not key:
        return None
    inner, outer = _keyed(key)
    state = inner.copy()
    state.update(content)
    digest = outer.copy()
    digest.update(state.digest())
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the two states after the key (RFC 2104), the same for each record; both are copied before they are updated.

    `hmac.HMAC` does the same in Python, which takes several times as long.
    """
    block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

"""Ids of the answers to the rows of a table: the same whenever the same model scores the same row again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

#: 9e3779b97f4a7c15 is 2**64 divided by the golden ratio; its multiples are far apart. Odd, so that no two rows have the same one.
_STEP = 0x9E3779B97F4A7C15 & (2**58 - 1)
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_SHIFTS = np.arange(24, -4, -4, dtype=np.uint64)
_DIGEST_BYTES = 12


def row_ids(run_prefix: str, digest: bytes, rows: Sequence[int]) -> pa.Array:
    """Return one id for each row, all different; each is a UUIDv8 (RFC 9562, section 5.8).

    It names no day: no log knows the answer, and `is_prediction_id` is false of it. 32 bits are the digest's, 58 its next ones plus a
    multiple of a constant for the row, and the last 32 are the beginning of the run id.

    Args:
        run_prefix: The first 8 hexadecimal digits of the run id.
        digest: Of the file and of the model; 12 bytes or more.
        rows: Their numbers in the file.
    """
    found = np.empty((len(rows), 36), dtype=np.uint8)
    found[:] = np.frombuffer(f"{digest[:4].hex()}-0000-8000-8000-0000{run_prefix}".encode("ascii"), dtype=np.uint8)
    begin = int.from_bytes(digest[4:_DIGEST_BYTES], "big")
    numbers = (np.array(rows, dtype=np.uint64) * np.uint64(_STEP) + np.uint64(begin)) & np.uint64(2**58 - 1)
    first, last = _digits(numbers >> np.uint64(30)), _digits(numbers)
    found[:, 9:13], found[:, 15:18] = first[:, :4], first[:, 4:]
    found[:, 19] = _DIGITS[8 + ((numbers >> np.uint64(28)) & np.uint64(3)).astype(np.intp)]
    found[:, 20:23], found[:, 24:28] = last[:, :3], last[:, 3:]
    places = np.arange(0, found.size + 1, found.shape[1], dtype=np.int32)
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(places), pa.py_buffer(found))


def _digits(numbers: np.typing.NDArray[np.uint64]) -> np.typing.NDArray[np.uint8]:
    """Return the last seven hexadecimal digits of each number, shape (numbers, 7)."""
    return _DIGITS.take(((numbers[:, np.newaxis] >> _SHIFTS) & np.uint64(15)).astype(np.intp))

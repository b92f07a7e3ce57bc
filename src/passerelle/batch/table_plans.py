"""All files of the input are planned: several at once, since one that lies in S3 mostly waits, and never silently."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from passerelle.batch.table_file import TableFile
from passerelle.batch.table_plan import TablePlan, plan_of

#: Files that are read at once, a piece of each in memory; fewer than the connections that a client of S3 keeps.
MOST_AT_ONCE = 8
_SECONDS_BETWEEN = 5.0
_GB = 1e9


def plans_of(files: Sequence[TableFile], columns: Sequence[str], *, progress: Callable[[str], None]) -> tuple[TablePlan, ...]:
    """Return what `plan_of` returns of each file, in their order.

    Args:
        progress: Told every few seconds how much is read.

    Raises:
        DataError: As `plan_of`, of the first such file in their order.
        OutsideError: Likewise.
    """
    if not files:
        return ()
    meter = _ReadMeter(len(files), sum(file.size_bytes for file in files), progress)

    def planned(file: TableFile) -> TablePlan:
        plan = plan_of(file, columns, read=meter.add_bytes)
        meter.add_file()
        return plan

    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(files)), thread_name_prefix="plan") as pool:
        try:
            return tuple(pool.map(planned, files))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _ReadMeter:
    """Tells how much of the input is read; threads share it."""

    def __init__(self, files: int, size_bytes: int, progress: Callable[[str], None]) -> None:
        self._files, self._bytes, self._progress = files, size_bytes, progress
        self._files_done = self._bytes_done = 0
        self._lock, self._last = threading.Lock(), time.monotonic()

    def add_file(self) -> None:
        with self._lock:
            self._files_done += 1

    def add_bytes(self, number: int) -> None:
        with self._lock:
            self._bytes_done += number
            now = time.monotonic()
            if now - self._last < _SECONDS_BETWEEN:
                return
            self._last = now
            size = f"{self._bytes_done / _GB:,.2f} of {self._bytes / _GB:,.2f} GB"
            self._progress(f"reading the input once before it is scored: {size}, {self._files_done:,} of {self._files:,} files done")

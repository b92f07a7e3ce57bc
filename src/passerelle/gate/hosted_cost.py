"""What the process of an adopted model costs: its processor time for one answer, and its memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil

from passerelle.errors import OutsideError
from passerelle.gate.latency import ROUNDS, Latency
from passerelle.model.hosted import HostedModel

_NANOSECONDS = 1e9


def hosted_latency(model: HostedModel, records: Sequence[Mapping[str, object]], *, rounds: int = ROUNDS) -> Latency:
    """Return the processor time that the model's process takes for the answer to one record.

    Each record counts with its best round, as for a model of passerelle's own.

    Raises:
        OutsideError: The process, or one that it started, ended meanwhile.
    """
    taken_ms = []
    with _all_there():
        processes = _processes(model)
        for _ in range(rounds):
            model.predict(records[:1])
            taken_ms.append([_answer_ms(model, record, processes) for record in records])
    best_ms = np.min(taken_ms, axis=0)
    return Latency(float(np.percentile(best_ms, 50)), float(np.percentile(best_ms, 95)))


def hosted_memory_mib(model: HostedModel) -> float:
    """Return what the model's process holds, with its interpreter and libraries, in MiB.

    Raises:
        OutsideError: As `hosted_latency`.
    """
    with _all_there():
        return sum(process.memory_info().rss for process in _processes(model)) / 2**20


@contextmanager
def _all_there() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess as error:
        raise OutsideError("a process of the model ended while its cost was measured", hint="passerelle status") from error


def _processes(model: HostedModel) -> list[psutil.Process]:
    if model.pid is None:
        raise OutsideError("the process of the model ended", hint="passerelle status")
    process = psutil.Process(model.pid)
    return [process, *process.children(recursive=True)]


def _answer_ms(model: HostedModel, record: Mapping[str, object], processes: Sequence[psutil.Process]) -> float:
    began = sum(map(_processor_seconds, processes))
    model.predict([record])
    return (sum(map(_processor_seconds, processes)) - began) * 1_000


def _processor_seconds(process: psutil.Process) -> float:
    """Return the processor time of the process: of its threads in nanoseconds where the kernel says so, else in its coarser ticks."""
    with suppress(OSError, ValueError, IndexError):
        threads = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat")]
        if threads:
            return sum(int(thread.split()[0]) for thread in threads) / _NANOSECONDS
    times = process.cpu_times()
    return float(times.user + times.system)

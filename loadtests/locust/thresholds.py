"""What a run must reach, and where it did not; the process then ends with 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

#: Begins the names of requests whose time counts towards `p99_ms`, and of those towards `batch_p99_ms`.
SINGLE, BATCH = "POST /classify", "POST /classify/batch"
#: Ends the names of requests whose time counts towards `spike_p99_ms`.
IN_SPIKE = ("(during)", "(settling)")


@dataclass(frozen=True)
class Figures:
    """What came of the requests of one name.

    Attributes:
        p50_ms, p95_ms, p99_ms, max_ms: As the client saw it; whole milliseconds, as locust keeps them.
    """

    name: str
    requests: int
    failures: int
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, entry: Any) -> Self:
        """Return the figures of one of locust's entries."""
        p50_ms, p95_ms, p99_ms = (float(entry.get_response_time_percentile(share) or 0) for share in (0.5, 0.95, 0.99))
        max_ms, rate = round(entry.max_response_time, 1), round(entry.total_rps, 1)
        return cls(entry.name, entry.num_requests, entry.num_failures, rate, p50_ms, p95_ms, p99_ms, max_ms)


@dataclass(frozen=True)
class Thresholds:
    """The limits of a run; each can be set on locust's command line, `--p99-ms 50`.

    Attributes:
        p99_ms: Slowest 99th percentile of a name that begins with `POST /classify`.
        batch_p99_ms: The same for batches.
        spike_p99_ms: The same while more ask than are admitted at once.
        requests_per_s: Least requests answered as they should be, a second: a run without load shows nothing.
        failure_percent: Most requests that were not answered as they should be.
        memory_growth_mib: Most memory that the service may gain from the first third of the run to the last.
    """

    p99_ms: float
    requests_per_s: float
    batch_p99_ms: float = 150.0
    spike_p99_ms: float = 2_000.0
    failure_percent: float = 0.0
    memory_growth_mib: float = 48.0

    def given(self, options: Any) -> Self:
        """Return them with what the command line says instead."""
        said = {each.name: getattr(options, each.name, None) for each in fields(self)}
        return replace(self, **{name: value for name, value in said.items() if value is not None})

    def broken(self, total: Figures, named: Sequence[Figures], memory_growth_mib: float | None = None) -> list[str]:
        """Return a line for each limit that was not kept."""
        return list(self._broken(total, named, memory_growth_mib))

    def _broken(self, total: Figures, named: Sequence[Figures], memory_growth_mib: float | None) -> Iterator[str]:
        percent = 100 * total.failures / total.requests if total.requests else 100.0
        if percent > self.failure_percent:
            yield f"{total.failures} of {total.requests} requests failed ({percent:.2f} %), over {self.failure_percent:g} %"
        good_per_s = total.requests_per_s * (1 - percent / 100)
        if good_per_s < self.requests_per_s:
            yield f"{good_per_s:.0f} requests/s, under {self.requests_per_s:g}"
        for each in named:
            limit = self.spike_p99_ms if each.name.endswith(IN_SPIKE) else self.p99_ms
            limit = self.batch_p99_ms if each.name.startswith(BATCH) else limit
            if each.name.startswith(SINGLE) and each.p99_ms > limit:
                yield f"{each.name}: p99 {each.p99_ms:g} ms, over {limit:g} ms"
        if memory_growth_mib is not None and memory_growth_mib > self.memory_growth_mib:
            yield f"the service gained {memory_growth_mib:.1f} MiB, over {self.memory_growth_mib:g} MiB"


def growth_mib(samples: Sequence[float]) -> float | None:
    """Return how much the median of the last third is over that of the first; None for fewer than nine samples."""
    third = len(samples) // 3
    if third < 3:  # noqa: PLR2004 - a median of less is a sample
        return None
    first, last = sorted(samples[:third]), sorted(samples[-third:])
    return last[third // 2] - first[third // 2]

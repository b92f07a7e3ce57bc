"""Compare a candidate again and again, so that a service's back-out reaches the ledger while nobody looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from passerelle.errors import OutsideError
from passerelle.stages.context import Progress
from passerelle.stages.live_services import LiveReport

#: Between two comparisons. A service looks at its own counts every 5 s, and has stopped asking the candidate long before.
INTERVAL_S = 15.0


class _Comparison(Protocol):
    """What a comparison found; `CandidateRollout` is one."""

    @property
    def version(self) -> int | None:
        """The candidate; None where there is none."""

    @property
    def live(self) -> LiveReport | None:
        """Both compared, as far as services were reached."""


_Found = TypeVar("_Found", bound=_Comparison)


def watched(compare: Callable[[], _Found], progress: Progress, *, wait: Callable[[float], None] = time.sleep) -> _Found:
    """Return the comparison that found no candidate, or ended it; asks again after an interval until then.

    Args:
        compare: Compares, and writes into the ledger that a service has backed out.
        progress: Told what has changed since the last comparison.
        wait: Waits the seconds it is given.

    Raises:
        PasserelleError: As `compare`, but for an outside system that fails: it may be there again after the interval.
    """
    last = ""
    while True:
        try:
            found = compare()
            if found.version is None:
                return found
            now = _in_words(found)
        except OutsideError as error:
            now = f"{error.message}; the next comparison is in {INTERVAL_S:.0f} s"
        if now != last:
            progress(now)
        last = now
        wait(INTERVAL_S)


def _in_words(found: _Comparison) -> str:
    live = found.live
    if live is None or live.comparison is None:
        return f"version {found.version} is the candidate; no service gives its metrics"
    broken = f"; breaks a limit: {'; '.join(live.broken)}" if live.broken else ""
    return f"version {found.version} has answered {live.comparison.candidate.requests:,} requests{broken}"

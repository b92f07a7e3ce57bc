"""A candidate that is watched ends in the ledger without anybody who looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from passerelle.errors import IntegrityError, OutsideError
from passerelle.monitoring.live_comparison import RolloutCounts, compared
from passerelle.stages.live_services import LiveReport
from passerelle.stages.rollout import CandidateRollout
from passerelle.stages.rollout_watch import INTERVAL_S, watched

ENDED = CandidateRollout("classification", None, changed=True)


def live(requests: float, *broken: str) -> CandidateRollout:
    counts = RolloutCounts(2, {("passerelle_rollout_requests_total", "candidate", "ok"): requests})
    return CandidateRollout("classification", 2, live=LiveReport(("http://here",), (), compared(counts), broken))


def one_after_the_other(*results: CandidateRollout | Exception) -> Callable[[], CandidateRollout]:
    left: Iterator[CandidateRollout | Exception] = iter(results)

    def compare() -> CandidateRollout:
        result = next(left)
        if isinstance(result, Exception):
            raise result
        return result

    return compare


def test_it_is_compared_until_it_ends() -> None:
    lines: list[str] = []
    waits: list[float] = []
    results = (live(10), live(10), OutsideError("MLflow does not answer"), live(60, "errors"), CandidateRollout("classification", 2), ENDED)
    assert watched(one_after_the_other(*results), lines.append, wait=waits.append) is ENDED
    assert waits == [INTERVAL_S] * 5
    assert lines == [
        "version 2 has answered 10 requests",
        "MLflow does not answer; the next comparison is in 15 s",
        "version 2 has answered 60 requests; breaks a limit: errors",
        "version 2 is the candidate; no service gives its metrics",
    ]


def test_a_broken_ledger_is_no_reason_to_go_on() -> None:
    with pytest.raises(IntegrityError):
        watched(one_after_the_other(IntegrityError("the ledger is broken")), lambda _: None, wait=lambda _: None)

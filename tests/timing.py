"""Which failures CI may try once more: those of tests that are marked `timing`, and only where nothing else failed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

#: Where a run leaves the names of the tests that may be tried again, in pytest's cache; `.ci/run` reads it.
CACHE_KEY = "timing/failed"


def may_be_tried_again(failed: Sequence[pytest.TestReport], exit_status: int) -> list[str]:
    """Return the failed tests where each of them is marked `timing` and failed by its own assertion, and else none.

    Args:
        failed: Reports of failures and errors; one of a fixture, or of a process that crashed, is not about time.
        exit_status: Of the run: one that was interrupted, or that could not collect its tests, says nothing about the rest.
    """
    if exit_status != pytest.ExitCode.TESTS_FAILED or not all(report.when == "call" and "timing" in report.keywords for report in failed):
        return []
    return [report.nodeid for report in failed]

"""Four times what the service can do, for a moment; `make overload` does it for ten minutes, by stricter limits."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import psutil
import pytest

from loadtests.overload import PLACES, overload
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]


@pytest.fixture(scope="module")
def small(bentoml_home: object, served: ServedModel) -> Iterator[ServedModel]:
    with serve(served.bentoml_home, max_in_flight=str(PLACES)) as running:
        yield running


@pytest.mark.timing
def test_overload_is_refused_at_once_and_what_is_admitted_stays_quick(small: ServedModel) -> None:
    found = overload(small, seconds=10.0)
    sys.stdout.write("\n" + found.line())
    assert set(found.statuses) == {200, 503}, found.statuses
    assert found.statuses[503] > found.statuses[200] / 2
    # The goal is twice; the client and other tests share the cores with the service here, so that their turns count too.
    assert found.p99_ms < 4 * found.capacity_p99_ms + 50
    assert found.answered_per_s > found.capacity_per_s / 4
    assert found.grown_mib < 20
    assert psutil.Process(small.child.pid).is_running()

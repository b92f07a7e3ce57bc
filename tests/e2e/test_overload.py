"""Four times what the service can do: what is admitted stays quick, the rest is told at once to come back, memory stays flat."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.rate import send_at
from tests.e2e.test_faults import resident_mib
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

PLACES = 8
SECONDS = 5.0


def long_requests() -> list[bytes]:
    """Texts so long that the model, not this client, is what there is too little of."""
    letters = random.Random(7)  # noqa: S311 - for texts
    texts = [" ".join("".join(letters.choices("abcdefghijklmnopqrstuvwxyzéè", k=7)) for _ in range(2_400)) for _ in range(20)]
    bodies = [json.dumps({"text": text}, ensure_ascii=False).encode() for text in texts]
    head = "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    return [head.format(len(body)).encode() + body for body in bodies]


@pytest.fixture(scope="module")
def small(bentoml_home: object, served: ServedModel) -> Iterator[ServedModel]:
    with serve(served.bentoml_home, max_in_flight=str(PLACES)) as running:
        yield running


def test_overload_is_refused_at_once_and_what_is_admitted_stays_quick(small: ServedModel) -> None:
    requests = long_requests()
    asyncio.run(send_at(small.address, requests, rate=None, seconds=1.0, connections=PLACES))
    at_capacity = asyncio.run(send_at(small.address, requests, rate=None, seconds=SECONDS, connections=PLACES))
    before_mib = resident_mib(small)
    rate = 4 * at_capacity.statuses[200] / SECONDS
    over = asyncio.run(send_at(small.address, requests, rate=rate, seconds=SECONDS, connections=8 * PLACES))
    grown_mib = resident_mib(small) - before_mib
    told = sorted(over.refused_seconds)[len(over.refused_seconds) // 2] * 1_000
    sys.stdout.write(
        f"\nat capacity {at_capacity.statuses[200] / SECONDS:.0f} requests/s, p99 {at_capacity.p99_ms:.0f} ms; at four times that "
        f"{over.statuses[200] / SECONDS:.0f} answered/s, p99 {over.p99_ms:.0f} ms, {over.statuses[503]} told to come back in {told:.0f} ms "
        f"(median), memory {grown_mib:+.1f} MiB"
    )
    assert set(over.statuses) == {200, 503}, over.statuses
    assert over.statuses[503] > over.statuses[200] / 2
    # The goal is twice; the client shares the cores with the service here, so that its own queue counts too.
    assert over.p99_ms < 4 * at_capacity.p99_ms + 50
    assert over.statuses[200] > at_capacity.statuses[200] / 4
    assert grown_mib < 20
    assert psutil.Process(small.child.pid).is_running()

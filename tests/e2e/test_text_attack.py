"""An honest client beside one that sends what costs the most: neither stops the worker for the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median

import pytest
import requests

from tests.e2e.attack import attacked, dear_texts, request
from tests.e2e.rate import send_at
from tests.service_fixtures import ServedModel

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

ROUNDS, SECONDS, RATE = 5, 1.0, 100.0
HONEST = request("/classify", {"text": "Aucune réponse à ma demande d\u2019inscription en crèche depuis trois mois. " * 6})


def p99_ms(address: str) -> float:
    """Return the p99 of an honest client that does not wait for its answers before it asks again."""
    traffic = asyncio.run(send_at(address, [HONEST], rate=RATE, seconds=SECONDS, connections=8))
    assert set(traffic.statuses) == {200}, traffic.statuses
    return traffic.p99_ms


@pytest.mark.timing
def test_an_honest_client_hardly_notices_an_attack(served: ServedModel, record_property: Callable[[str, object], None]) -> None:
    quiet, beside = [], []
    p99_ms(served.address)
    for _ in range(ROUNDS):
        quiet.append(p99_ms(served.address))
        with attacked(served.address):
            time.sleep(0.5)
            beside.append(p99_ms(served.address))
    ratio = median(beside) / median(quiet)
    record_property("figure", f"honest p99: {median(quiet):.2f} ms quiet, {median(beside):.2f} ms beside the attack, {ratio:.2f} times")
    # The goal is twice on cores of one's own; the attacker, this client and other tests share them with the service here.
    assert median(beside) <= 2 * median(quiet) + 10


def test_texts_that_would_stop_a_worker_are_refused(served: ServedModel) -> None:
    for text in ("e" + "\u0301" * 19_999, "\ufdfa" * 20_000):
        answer = requests.post(f"{served.address}/classify", json={"text": text}, timeout=30)
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid_record", "text")
    for text in dear_texts():
        assert requests.post(f"{served.address}/classify", json={"text": text}, timeout=30).status_code == 200

"""A service that ends under traffic fails no request of a client that keeps its connection."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest
import requests

from passerelle.serving.drain import CLOSING_S
from tests.service_fixtures import ServedModel, serve

pytestmark = pytest.mark.e2e


def ended(process: psutil.Process, began: float) -> float:
    process.wait(20)
    return time.monotonic() - began


@pytest.mark.timing
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_kept_connection_is_told_to_close_before_it_is_closed(bentoml_home: Path, workers: str) -> None:
    with serve(bentoml_home, workers=workers) as running, requests.Session() as session:
        asked = [session.post(f"{running.address}/classify", json={"text": "un grand merci"}, timeout=10) for _ in range(20)]
        assert not any("close" in answer.headers.get("connection", "") for answer in asked)
        process, began = told_to_end(running)
        answer = asked[-1]
        while "close" not in answer.headers.get("connection", ""):
            assert time.monotonic() - began < CLOSING_S, "nobody told this client"
            answer = session.post(f"{running.address}/classify", json={"text": "un grand merci"}, timeout=10)
            assert answer.status_code == 200
            time.sleep(0.002)
        again = session.post(f"{running.address}/classify", json={"text": "un grand merci"}, timeout=10)
        assert again.status_code == 200, "who connects while it drains is answered too"
        while time.monotonic() - began < 0.9 * CLOSING_S:
            # A connection that is reset or refused raises.
            assert requests.get(f"{running.address}/livez", timeout=10).status_code == 200
        assert CLOSING_S <= ended(process, began) < CLOSING_S + 5


@pytest.mark.timing
def test_one_that_nobody_asks_ends_at_once(bentoml_home: Path) -> None:
    with serve(bentoml_home) as running:
        requests.post(f"{running.address}/classify", json={"text": "un grand merci"}, timeout=10).raise_for_status()
        time.sleep(CLOSING_S + 0.5)
        process, began = told_to_end(running)
        taken = ended(process, began)
    assert taken < CLOSING_S + 1


def told_to_end(running: ServedModel) -> tuple[psutil.Process, float]:
    process = psutil.Process(running.child.pid)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    return process, began

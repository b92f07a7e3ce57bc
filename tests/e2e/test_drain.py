"""A service that ends under traffic fails no request of a client that keeps its connection."""

from __future__ import annotations

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from passerelle.serving.drain import CLOSING_S
from tests.service_fixtures import ServedModel, serve

BODY = b'{"text": "un grand merci"}'
REQUEST = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY

pytestmark = pytest.mark.e2e


def ended(process: psutil.Process, began: float) -> float:
    process.wait(20)
    return time.monotonic() - began


async def asks(port: int, pause_s: float, keeps: bool) -> None:
    """Ask until nobody listens any more; a connection that ends while nothing is asked on it is replaced.

    Raises:
        ConnectionResetError: A connection was reset, or ended without the answer.
    """
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        while not reader.at_eof():
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
            await asyncio.sleep(pause_s)
            if not keeps or b"connection: close" in head.lower():
                break
        writer.close()


async def crowd(port: int) -> list[BaseException]:
    """Return what went wrong for clients that keep their connections and for others."""
    clients = (asks(port, 0.01 + 0.013 * number, keeps=number % 4 != 0) for number in range(40))
    return [each for each in await asyncio.gather(*clients, return_exceptions=True) if each is not None]


@pytest.mark.timing
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_kept_connection_is_told_to_close_before_it_is_closed(bentoml_home: Path, workers: str) -> None:
    with serve(bentoml_home, workers=workers) as running, requests.Session() as session, ThreadPoolExecutor(1) as in_background:
        asked = [session.post(f"{running.address}/classify", json={"text": "un grand merci"}, timeout=10) for _ in range(20)]
        assert not any("close" in answer.headers.get("connection", "") for answer in asked)
        process, began = told_to_end(running)
        others = in_background.submit(asyncio.run, crowd(int(running.address.rpartition(":")[2])))
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
        assert not others.result(20), "no connection is reset, and no request is left without an answer"


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

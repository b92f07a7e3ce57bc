"""Heads without end, on the service itself: they are ended, and neither memory nor an honest client notices."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.e2e.test_faults import BODY, HEAD, opened, samples, workers
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

ROUNDS, REQUESTS = 5, 300
#: What a p99 on a quiet machine is not worth comparing under.
FLOOR_S = 0.005


@contextmanager
def poured(service: ServedModel) -> Iterator[dict[str, int]]:
    """Pour headers without end while the body runs; what the pouring client saw is known at the end."""
    script = Path(__file__).with_name("endless_heads.py")
    command = [sys.executable, str(script), str(urlsplit(service.address).port)]
    seen: dict[str, int] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            time.sleep(0.3)
            yield seen
        finally:
            output, _ = process.communicate(timeout=60)
            seen.update(json.loads(output))


def p99_s(service: ServedModel) -> float:
    """Ask over one kept connection, and return the time that 99 of 100 answers were under."""
    split = urlsplit(service.address)
    seconds = []
    with closing(http.client.HTTPConnection(str(split.hostname), split.port, timeout=10)) as connection:
        for _ in range(REQUESTS):
            began = time.perf_counter()
            connection.request("POST", "/classify", BODY, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - began)
            assert answer.status == 200
    return quantiles(seconds, n=100)[98]


@pytest.mark.timing
def test_headers_without_end_disturb_nobody(served: ServedModel, record_property: Callable[[str, object], None]) -> None:
    [worker] = workers(served)
    p99_s(served)
    before_bytes = psutil.Process(worker.pid).memory_info().rss
    quiet, beside, connections, refused, sent_bytes = [], [], 0, 0, 0
    for _ in range(ROUNDS):
        quiet.append(p99_s(served))
        with poured(served) as seen:
            beside.append(p99_s(served))
        connections += seen["connections"]
        refused += seen["refused"]
        sent_bytes += seen["sent_bytes"]
    grown_mib = (psutil.Process(worker.pid).memory_info().rss - before_bytes) / 2**20
    figure = f"p99 {median(quiet) * 1_000:.1f} ms alone and {median(beside) * 1_000:.1f} ms beside {connections} connections"
    record_property("figure", f"heads without end: {figure} with {sent_bytes / 2**20:.0f} MiB of headers; memory {grown_mib:+.1f} MiB")
    assert refused >= 8 * ROUNDS
    assert grown_mib < 8
    assert median(beside) <= 2 * max(median(quiet), FLOOR_S)


@pytest.mark.timing
def test_slow_heads_are_ended_and_counted(bentoml_home: Path) -> None:
    with serve(bentoml_home, head_timeout_s="0.5") as service:
        held = [opened(service) for _ in range(50)]
        came = asyncio.run(drip(service, len(held)))
        assert [statuses(each) for each in came] == [[408]] * len(held)
        assert all(b"connection: close" in each and b'"head_too_slow"' in each for each in came)
        for each in held:
            with closing(each):
                assert each.recv(1) == b"", "a connection that asks nothing is closed"
        with closing(opened(service)) as connection:
            connection.sendall(HEAD + b"X: " + b"a" * 20_000)
            assert statuses(connection.recv(65_536)) == [431]
        text = httpx.get(service.address + "/metrics").text
        assert 'passerelle_requests_total{door="",route="unread",status="408"} 50.0' in text
        assert 'passerelle_requests_total{door="",route="unread",status="431"} 1.0' in text
        assert samples(service)["passerelle_requests_in_flight"] == 1
        time.sleep(0.3)
        log = service.child.log_path.read_text()
    lines = [json.loads(line) for line in log.splitlines() if '"route":"unread"' in line]
    assert sorted(line["status"] for line in lines) == [408] * 50 + [431]
    assert "aaaa" not in log


async def drip(service: ServedModel, count: int) -> list[bytes]:
    """Send as many heads byte by byte until the service has had enough, and return what it said."""
    loop = asyncio.get_running_loop()

    async def whole(connection: socket.socket) -> bytes:
        came = b""
        while piece := await loop.sock_recv(connection, 65_536):
            came += piece
        return came

    async def one() -> bytes:
        with closing(opened(service)) as connection:
            connection.setblocking(False)
            answer = asyncio.create_task(whole(connection))
            for place in range(2_000):
                if answer.done():
                    break
                # It may be late to see that it was ended.
                with suppress(ConnectionError):
                    await loop.sock_sendall(connection, HEAD[place : place + 1] or b"a")
                await asyncio.sleep(0.02)
            return await answer

    return await asyncio.gather(*(one() for _ in range(count)))


def statuses(came: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", came)]


def test_an_answer_is_one_write(bentoml_home: Path) -> None:
    """The kernel counts the writes of the worker; its own wake-ups are few."""
    record = {"text": "aucune réponse depuis trois mois"}
    with serve(bentoml_home, access_log="false") as service, httpx.Client(base_url=service.address) as client:
        [worker] = workers(service)
        asked: dict[str, Callable[[], httpx.Response]] = {
            "/classify": lambda: client.post("/classify", json=record),
            "/classify/batch": lambda: client.post("/classify/batch", json={"records": [record] * 1_000}),
            "/model": lambda: client.get("/model"),
            "/openapi.json": lambda: client.get("/openapi.json"),
            "/metrics": lambda: client.get("/metrics"),
            "/nothing": lambda: client.get("/nothing"),
            "/schema.json": lambda: client.get("/schema.json"),
            "/livez": lambda: client.head("/livez"),
        }
        for path, ask in asked.items():
            ask()
            before, count = worker.io_counters()[1], 20
            for _ in range(count):
                assert ask().status_code in (200, 404)
            written = worker.io_counters()[1] - before
            assert count <= written < 1.5 * count, path

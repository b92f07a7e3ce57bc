"""What the service goes through while others are answered: clients that are slow, gone, idle or without measure, a killed worker."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtests.machine import resident_mib
from tests.e2e.traffic import RECORD, Traffic, connections, steady
from tests.service_fixtures import ServedModel, serve, write_store

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

BODY = json.dumps(RECORD).encode()
HEAD = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def opened(service: ServedModel) -> socket.socket:
    host, _, port = service.address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def workers(service: ServedModel) -> list[psutil.Process]:
    living = [each for each in psutil.Process(service.child.pid).children() if each.status() != psutil.STATUS_ZOMBIE]
    return [each for each in living if "_bentoml_impl.worker.service" in " ".join(each.cmdline())]


def samples(service: ServedModel) -> dict[str, float]:
    text = httpx.get(service.address + "/metrics").text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def unhurt(traffic: Traffic, *, least: int = 50) -> None:
    assert set(traffic.statuses) == {200}, traffic.statuses
    assert traffic.statuses[200] >= least
    # A connection that hogged the event loop would show here; the rest is this machine's noise.
    assert traffic.p99_ms < 500


async def idle(service: ServedModel) -> None:
    held = [opened(service) for _ in range(1_000)]
    await asyncio.sleep(1.0)
    for each in held:
        each.close()


async def slowloris(service: ServedModel) -> None:
    held = [opened(service) for _ in range(100)]
    for piece in (HEAD[:9], HEAD[9:20], HEAD[20:] + b"Content-Length: 60\r\n\r\n", b'{"te', b'xt": '):
        for each in held:
            each.sendall(piece)
        await asyncio.sleep(0.2)
    for each in held:
        each.close()


async def clients_that_leave(service: ServedModel) -> None:
    for _ in range(200):
        with closing(opened(service)) as connection:
            connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + BODY)
        await asyncio.sleep(0.002)


async def larger_than_memory(service: ServedModel) -> None:
    before_mib = resident_mib(service.child.pid)
    for head in (b"Content-Length: 99999999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
        with closing(opened(service)) as connection:
            connection.sendall(HEAD + head)
            assert (await asyncio.to_thread(refusal_of_endless, connection)).startswith(b"HTTP/1.1 413")
    assert resident_mib(service.child.pid) - before_mib < 30


def refusal_of_endless(connection: socket.socket) -> bytes:
    """Send for as long as the other side takes it, and return what it said."""
    connection.settimeout(5)
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    try:
        for _ in range(10_000):
            connection.sendall(chunk)
    except OSError:
        pass
    try:
        return connection.recv(65_536)
    except OSError:
        return b""


@pytest.mark.timing
@pytest.mark.parametrize("fault", [idle, slowloris, clients_that_leave, larger_than_memory])
def test_the_rest_of_the_traffic_does_not_notice(served: ServedModel, fault: object) -> None:
    async def go() -> Traffic:
        async with steady(served.address) as traffic:
            await asyncio.sleep(0.5)
            await fault(served)  # type: ignore[operator]
            await asyncio.sleep(0.5)
        return traffic

    unhurt(asyncio.run(go()))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    with serve(write_store(tmp_path_factory.mktemp("two") / "bentoml"), workers="2") as running:
        yield running


def test_metrics_are_right_across_workers(two: ServedModel) -> None:
    async def go() -> Traffic:
        traffic = Traffic()
        async with connections(two.address, 8, kept=False) as client:
            await asyncio.gather(*(traffic.ask(client) for _ in range(120)))
        return traffic

    before = samples(two)
    traffic = asyncio.run(go())
    after = [samples(two) for _ in range(6)]
    assert traffic.statuses == {200: 120}
    for each in after:
        assert each["passerelle_predictions_total"] - before.get("passerelle_predictions_total", 0) == 120
        assert each["passerelle_text_characters_count"] - before.get("passerelle_text_characters_count", 0) == 120
        assert each["passerelle_workers"] == 2
    # The other worker tells once a second how many wait.
    deadline = time.monotonic() + 5
    while (waiting := samples(two)["passerelle_requests_queued"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert waiting == 0


@pytest.mark.timing
def test_a_killed_worker_is_replaced_and_no_other_request_fails(two: ServedModel) -> None:
    clients = 3

    async def go() -> Traffic:
        async with steady(two.address, clients=clients, kept=False) as traffic:
            await asyncio.sleep(0.5)
            workers(two)[0].send_signal(signal.SIGKILL)
            await asyncio.sleep(0.1)
            assert samples(two)["passerelle_workers"] == 1
            for _ in range(200):
                await asyncio.sleep(0.1)
                if samples(two)["passerelle_workers"] == 2:
                    break
            await asyncio.sleep(0.5)
        return traffic

    former = {each.pid for each in workers(two)}
    before = samples(two)["passerelle_predictions_total"]
    traffic = asyncio.run(go())
    # What the killed process was answering at that moment is lost with it.
    assert traffic.statuses[0] <= clients
    assert set(traffic.statuses) <= {0, 200}
    assert len({each.pid for each in workers(two)} - former) == 1
    after = samples(two)
    assert after["passerelle_workers"] == 2
    assert after["passerelle_predictions_total"] - before >= traffic.statuses[200]


def another_golden_prediction(model: Path) -> None:
    golden = model / "golden.json"
    golden.write_text(golden.read_text().replace("0.", "0.1", 1))


def an_error_that_is_none_of_ours(model: Path) -> None:
    lineage = model / "lineage.json"
    lineage.write_text(json.dumps(json.loads(lineage.read_text()) | {"created": "yesterday"}))


@pytest.mark.parametrize("damage", [another_golden_prediction, an_error_that_is_none_of_ours])
def test_a_model_that_is_refused_leaves_a_live_worker_that_says_so(damage: Callable[[Path], None], tmp_path: Path) -> None:
    home = write_store(tmp_path / "bentoml")
    [model] = home.glob("models/*/7-*")
    damage(model)
    with serve(home, health="/livez") as service:
        deadline = time.monotonic() + 30
        while (said := httpx.get(service.address + "/readyz")).json().get("reason") == "loading" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (said.status_code, said.json()["reason"]) == (503, "model_refused")
        former = {each.pid for each in workers(service)}
        refused = httpx.post(service.address + "/classify", json=RECORD)
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        time.sleep(2)
        assert {each.pid for each in workers(service)} == former
        log = service.child.log_tail()
    assert log.count("the model is refused") == 1
    assert "Traceback" not in log


def test_sigterm_answers_what_is_in_flight_and_ends_with_0(bentoml_home: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    with serve(write_store(tmp_path_factory.mktemp("ends") / "bentoml")) as service, closing(opened(service)) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:10])
        connection.settimeout(10)
        assert httpx.get(service.address + "/livez").status_code == 200
        assert service.child.process is not None
        service.child.process.send_signal(signal.SIGTERM)
        connection.sendall(BODY[10:])
        answered = b""
        while b"prediction_id" not in answered:
            piece = connection.recv(65_536)
            assert piece, answered
            answered += piece
        assert answered.startswith(b"HTTP/1.1 200")
        connection.close()
        assert service.child.process.wait(15) == 0

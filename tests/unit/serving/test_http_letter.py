"""Where HTTP leaves a choice that an attacker could use or a client trip over: trailers, doubled headers, bodies after the answer."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path

import pytest

from passerelle.serving import connection
from passerelle.serving.access import AccessControl
from passerelle.settings import ServiceSettings
from tests.unit.serving.connection_server import Server, exchanged, read_all, serving, statuses


def test_trailers_never_become_headers() -> None:
    request = (
        b"POST /names HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer valid\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\nAuthorization: Bearer other\r\nX-Trailer: a\r\n\r\n"
    )

    async def go() -> None:
        async with serving() as (_server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request + request)
            came = await read_all(reader, 2)
            writer.close()
            assert statuses(came) == [200, 200]
            assert came.count(b"host,authorization,transfer-encoding") == 2
            assert b"trailer" not in came
            assert came.count(b"authorization") == 2

    asyncio.run(go())


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"Host: x\r\n", 200),
        (b"", 400),
        (b"Host: x\r\nHost: x\r\n", 400),
        (b"Host: x\r\nhost: other\r\n", 400),
        (b"Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n", 400),
        (b"Host: x\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n", 400),
        (b"Host: x\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\n", 400),
        (b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        (b"Host: x\r\nAccept: a\r\nAccept: b\r\n", 200),
    ],
)
def test_a_header_that_decides_is_there_once(head: bytes, expected: int) -> None:
    async def go() -> None:
        async with serving() as (server, port):
            assert await exchanged(port, b"GET / HTTP/1.1\r\n" + head + b"\r\n", answers=1) == [expected]
            assert server.refused == [expected] * (expected != 200)

    asyncio.run(go())


def test_http_1_0_needs_no_host_and_reads_no_answer_before_the_answer() -> None:
    async def go() -> None:
        async with serving() as (_server, port):
            assert await exchanged(port, b"GET / HTTP/1.0\r\n\r\n", answers=1) == [200]
            waiting = b"\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n1"
            assert await exchanged(port, b"POST /reads HTTP/1.0" + waiting, answers=1) == [200]
            assert await exchanged(port, b"POST /reads HTTP/1.1" + waiting, answers=2) == [100, 200]

    asyncio.run(go())


def test_another_version_of_http_is_refused() -> None:
    async def go() -> None:
        async with serving() as (_server, port):
            assert await exchanged(port, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", answers=1) == [400]

    asyncio.run(go())


def test_a_web_socket_is_an_offer_like_any_other() -> None:
    async def go() -> None:
        async with serving() as (server, port):
            offer = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            assert await exchanged(port, offer + key + offer + b"\r\n", answers=2) == [200, 200]
            assert server.refused == []

    asyncio.run(go())

    asyncio.run(go())


@pytest.mark.parametrize("size", [200_000, 8_000_000])
def test_who_is_still_sending_reads_the_refusal(size: int) -> None:
    """`http.client` reads nothing before all is sent."""

    def client(port: int) -> tuple[int, bytes]:
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        asking.request("POST", "/refuses", body=b"a" * size)
        answer = asking.getresponse()
        return answer.status, answer.read()

    async def go() -> None:
        async with serving(unwanted_bytes=16_000_000) as (_server, port):
            assert await asyncio.to_thread(client, port) == (413, b"no")

    asyncio.run(go())


def test_what_follows_a_refusal_is_read_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than are read, or a client that never ends: the connection is closed."""
    monkeypatch.setattr(connection, "_READ_ON_S", 0.2)
    head = b"POST /refuses HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"

    async def go() -> None:
        for body in (b"a" * 3_000_000, b"a"):
            async with serving() as (_server, port):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head + body)
                assert statuses(await read_all(reader)) == [413]
                writer.close()

    asyncio.run(go())


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b"POST /reads HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Content-Length: 2\r\n\r\n{}",), [200]),
        ((b"POST /reads HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Content-Length: 2\r\n\r\n", b"{", b"}"), [200]),
        ((b"POST /reads HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",) * 3, [200] * 3),
        ((b"GET /names HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",), [200, 200]),
        ((b"GET / HTTP/1.1\r\n" + OFFER + b"\r\n",), [400]),
        ((b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + OFFER + b"\r\n",), [400]),
        ((b"GET / HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), [200, 400]),
        ((b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 100 + OFFER + b"\r\n",), [431]),
    ],
)
def test_an_offer_of_another_protocol_is_ignored(pieces: tuple[bytes, ...], expected: list[int]) -> None:
    """Java's client makes it with each first request; what follows it is the request's own body, and then the next request."""

    async def go() -> None:
        async with serving() as (_server, port):
            assert await exchanged(port, *pieces, answers=len(expected)) == expected

    asyncio.run(go())


FORWARDED = b"GET /ends HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"


def test_the_server_itself_believes_no_forwarded_address() -> None:
    """uvicorn would, of everybody on loopback."""

    async def go() -> None:
        async with serving() as (server, port):
            assert await exchanged(port, FORWARDED, answers=1) == [200]
            assert server.ends[0][0] == ("127.0.0.1", port)
            assert server.ends[0][1][0] == "127.0.0.1"

    asyncio.run(go())


def test_a_unix_socket_is_served_and_is_no_loopback(tmp_path: Path) -> None:
    path = str(tmp_path / "passerelle.sock")

    async def go() -> None:
        server = Server()
        listener = await asyncio.get_running_loop().create_unix_server(server.connection, path)
        async with listener:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(FORWARDED)
            assert statuses(await read_all(reader)) == [200]
            writer.close()
        assert server.ends == [((path, None), None)]

    asyncio.run(go())
    control = AccessControl(ServiceSettings.read(auth="auto", keys_file=tmp_path / "keys.json"))
    assert control.required((path, None)), "the modes of its folder say who may connect; whether without a key, `auth=off` says"

"""What a connection takes and gives, on a real socket in process: heads without end, slow ones, pipelines, and answers in one write."""

from __future__ import annotations

import asyncio
import socket
import time
from types import SimpleNamespace

import pytest
import uvicorn

from passerelle.serving.connection import _LINGER_S, Connection
from passerelle.serving.drain import Drain
from passerelle.serving.heads import AwaitedHeads, HeadLimits
from passerelle.serving.install import speak_http
from tests.unit.serving.connection_server import LIMIT, Server, exchanged, read_all, serving, statuses

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def head_of(size: int) -> bytes:
    begin = b"GET / HTTP/1.1\r\nHost: x\r\nX: "
    return begin + b"a" * (size - len(begin) - 4) + b"\r\n\r\n"


ENDLESS = {
    "a header without end": (b"GET / HTTP/1.1\r\nX: ", b"a"),
    "headers without end": (b"GET / HTTP/1.1\r\n", b"X-Header: abc\r\n"),
    "tiny headers": (b"GET / HTTP/1.1\r\n", b"a:\r\n"),
    "a method without end": (b"", b"A"),
    "a path without end": (b"GET /", b"a"),
    "blank lines without end": (b"", b"\r\n"),
    "a chunk extension without end": (CHUNKED + b"5;", b"a"),
    "a chunk size without end": (CHUNKED, b"0"),
    "trailers without end": (CHUNKED + b"0\r\n", b"X-Trailer: abc\r\n"),
}


@pytest.mark.parametrize("piece_bytes", [7, 1_000, 200_000])
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_head_without_end_is_ended(kind: str, piece_bytes: int) -> None:
    begin, repeated = ENDLESS[kind]
    endless = repeated * (20 * LIMIT // len(repeated))
    if begin.startswith(b"POST / "):
        begin = begin.replace(b"POST / ", b"POST /reads ")

    async def go() -> None:
        async with serving() as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begin)
            for place in range(0, min(len(endless), 1_000 * piece_bytes), piece_bytes):
                writer.write(endless[place : place + piece_bytes])
                await asyncio.sleep(0)
            came = await read_all(reader)
            writer.close()
            # What is no HTTP from its first bytes on is refused before the limit.
            expected = 400 if kind == "a method without end" else 431
            assert (statuses(came), server.refused) == ([expected], [expected])
            assert b"connection: close" in came
            assert b'"code":"' in came

    asyncio.run(go())


def test_the_limit_is_exact() -> None:
    async def go() -> None:
        async with serving() as (_server, port):
            for pieces in ([LIMIT], [1_000, LIMIT - 1_000], [1] * 30 + [LIMIT - 30]):
                for more, expected in ((0, 200), (1, 431)):
                    whole, begin, cut = head_of(LIMIT + more), 0, []
                    for size in pieces:
                        cut.append(whole[begin : begin + size])
                        begin += size
                    assert await exchanged(port, *cut, whole[begin:], answers=1) == [expected]

    asyncio.run(go())


def test_a_hundred_headers_are_the_most() -> None:
    async def go() -> None:
        async with serving() as (_server, port):
            for count, expected in ((100, 200), (101, 431)):
                whole = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * (count - 1) + b"\r\n"
                assert await exchanged(port, whole, answers=1) == [expected]

    asyncio.run(go())


def test_a_large_body_and_many_chunks_are_no_head() -> None:
    async def go() -> None:
        async with serving() as (_server, port):
            length = b"POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + b"a" * 500_000
            chunks = CHUNKED.replace(b"/ ", b"/reads ", 1) + b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"
            assert await exchanged(port, length, chunks, GET, answers=3) == [200, 200, 200]

    asyncio.run(go())


def test_a_slow_head_is_ended_and_an_idle_connection_too() -> None:
    async def go() -> None:
        async with serving(timeout_s=0.1) as (server, port):
            slow = b"GET / HTTP/1.1\r\nHost: x\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            assert await exchanged(port, *[slow[place : place + 1] for place in range(len(slow))]) == [408]
            assert await exchanged(port, b"\r\n") == [408]
            assert await exchanged(port, GET, GET[:9]) == [200, 408]
            assert await exchanged(port) == [], "nothing was asked"
            assert server.refused == [408] * 3
            # What was asked is answered, however long that takes.
            asking = asyncio.create_task(exchanged(port, GET.replace(b"/ ", b"/slow ", 1), GET[:9]))
            await asyncio.sleep(0.3)
            assert not asking.done()
            server.goes_on.set()
            assert await asking == [200, 408]

    asyncio.run(go())


def test_who_reads_late_and_sends_on_gets_the_refusal_and_the_end() -> None:
    def client(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(10):
                connection.sendall(b"a" * 4_000)
                time.sleep(0.02)
            time.sleep(_LINGER_S)
            came = b""
            while piece := connection.recv(10):
                came += piece
            return came

    async def go() -> None:
        async with serving() as (_server, port):
            assert statuses(await asyncio.to_thread(client, port)) == [431]

    asyncio.run(go())


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    slow, reads = GET.replace(b"/ ", b"/slow ", 1), CHUNKED.replace(b"/ ", b"/reads ", 1)

    async def go() -> None:
        for wrong, expected in ((b"\xff\xff\r\n\r\n", 400), (head_of(LIMIT + 5_000), 431), (reads + b"zz\r\n", 400)):
            async with serving() as (server, port):
                asking = asyncio.create_task(exchanged(port, slow + wrong))
                await asyncio.sleep(0.05)
                assert not asking.done()
                server.goes_on.set()
                assert await asking == [200, expected]

    asyncio.run(go())


def test_pipelined_requests_are_answered_in_their_order_up_to_a_number() -> None:
    async def go() -> None:
        async with serving() as (_server, port):
            assert await exchanged(port, GET * 60, answers=60) == [200] * 60
            came = await exchanged(port, GET * 50_000)
            assert came[-1] == 503
            assert set(came[:-1]) == {200}
            assert len(came) < 400

    asyncio.run(go())


def test_a_body_without_end_is_ended_after_its_answer() -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"

    async def go() -> None:
        async with serving(timeout_s=0.1) as (_server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(CHUNKED)
            with pytest.raises(ConnectionError):
                for _ in range(1_000):
                    writer.write(chunk)
                    await writer.drain()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(CHUNKED)
            assert statuses(await reader.readuntil(b"ok")) == [200]
            with pytest.raises(ConnectionError):
                for _ in range(500):
                    writer.write(b"1\r\na\r\n")
                    await asyncio.sleep(0.01)
                    await writer.drain()

    asyncio.run(go())


@pytest.mark.parametrize("path", ["/", "/streamed", "/reads"])
def test_an_answer_leaves_in_one_write(path: str) -> None:
    async def go() -> None:
        async with serving() as (server, port):
            for method in (b"GET", b"HEAD"):
                request = GET.replace(b"GET / ", method + b" " + path.encode() + b" ", 1)
                assert await exchanged(port, request, request.replace(b"Host", b"Connection: close\r\nHost")) == [200, 200]
            assert len(server.writes) == 4

    asyncio.run(go())


def test_who_asks_whether_to_send_is_told_at_once() -> None:
    async def go() -> None:
        async with serving() as (server, port):
            asks = b"POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            assert await exchanged(port, asks, answers=1) == [100]
            assert await exchanged(port, asks, b"ab", answers=2) == [100, 200]
            assert len(server.writes) == 3

    asyncio.run(go())


def test_who_asks_whether_to_send_and_sends_no_body_is_not_told_to_go_on_after_the_refusal() -> None:
    async def go() -> None:
        async with serving() as (server, port):
            asks = b"POST /reads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\nno size\r\n"
            assert await exchanged(port, asks, answers=2) == [400]
            assert len(server.writes) == 1

    asyncio.run(go())


def test_an_answer_that_fails_half_way_is_none() -> None:
    async def go() -> None:
        async with serving() as (server, port):
            assert await exchanged(port, GET.replace(b"/ ", b"/broken ", 1)) == []
            assert server.writes == []

    asyncio.run(go())


def test_a_server_that_chooses_its_protocol_by_itself_takes_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As BentoML's worker does."""
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", dict(uvicorn.config.HTTP_PROTOCOLS))
    speak_http(SimpleNamespace(head_limits=HeadLimits(LIMIT, 1.0, 1), refused=print, drain=Drain()))  # type: ignore[arg-type]
    config = uvicorn.Config(Server().app, log_config=None)
    config.load()
    assert issubclass(config.http_protocol_class, Connection)
    assert config.http_protocol_class.limits.max_bytes == LIMIT


def test_the_head_that_is_awaited_longest_gives_way() -> None:
    class Waiting:
        late = False

        def too_late(self) -> None:
            self.late = True

    async def go() -> None:
        heads = AwaitedHeads(30.0, most=3)
        waiting = [Waiting() for _ in range(5)]
        for each in waiting[:3]:
            heads.begin(each)
        heads.begin(waiting[0])
        heads.end(waiting[1])
        for each in waiting[3:]:
            heads.begin(each)
        assert [each.late for each in waiting] == [True, False, False, False, False]

    asyncio.run(go())

"""Who asks a worker that ends is answered, or finds the connection ended; nobody is reset."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

import pytest

from passerelle.serving import connection
from passerelle.serving.unreachable import make_unreachable
from tests.unit.serving.connection_server import read_all, serving, statuses

_REQUEST = b"GET /ends HTTP/1.1\r\nHost: x\r\n\r\n"
_CLOSE = (b"connection", b"close")


async def kept(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection on which one request was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_REQUEST)
    assert statuses(await read_all(reader, 1)) == [200]
    return reader, writer


def test_a_request_on_its_way_is_answered_and_one_that_comes_later_is_not_reset() -> None:
    async def go() -> None:
        async with serving() as (server, port):
            on_its_way, later, silent = [await kept(port) for _ in range(3)]
            server.drain.headers = [_CLOSE]
            on_its_way[1].write(_REQUEST)
            for each in list(server.state.connections):
                each.shutdown()
            assert statuses(await read_all(on_its_way[0], 1)) == [200]
            assert await asyncio.wait_for(later[0].read(), 10) == b"", "the end of the connection"
            for _ in range(3):
                later[1].write(_REQUEST)
                await later[1].drain()
                await asyncio.sleep(0.02)
            assert await later[0].read() == b"", "a connection that was reset raises"
            assert await asyncio.wait_for(silent[0].read(), 10) == b""
            for _, writer in (on_its_way, later, silent):
                writer.close()
            await asyncio.sleep(connection._LINGER_S + 0.1)
            assert not server.state.connections

    asyncio.run(go())


def test_a_connection_of_a_worker_that_nobody_asked_is_closed_at_once() -> None:
    async def go() -> None:
        async with serving() as (server, port):
            reader, writer = await kept(port)
            for each in list(server.state.connections):
                each.shutdown()
            assert await asyncio.wait_for(reader.read(), 10) == b""
            await asyncio.sleep(0.01)
            assert not server.state.connections
            writer.close()

    asyncio.run(go())


def test_nobody_new_gets_to_a_port_that_is_made_unreachable_and_who_is_there_stays() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with closing(listener), closing(socket.create_connection(listener.getsockname(), timeout=5)) as before:
        make_unreachable([listener.fileno()])
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.2)
        accepted, _ = listener.accept()
        with accepted:
            before.sendall(b"question")
            assert accepted.recv(100) == b"question"
            accepted.sendall(b"answer")
            assert before.recv(100) == b"answer"


def test_what_is_no_socket_is_left_alone() -> None:
    with open("/dev/null", "rb") as file:  # noqa: PTH123 - its descriptor is what counts
        make_unreachable([file.fileno()])
        assert file.read() == b""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.steady_client import FAILURES, SteadyClient, two_clients


class _Service(BaseHTTPRequestHandler):
    """Answers with the number of the connection; what it does after an answer is set by the test."""

    protocol_version = "HTTP/1.1"
    connections: ClassVar[list[object]] = []
    ends_after_an_answer: ClassVar[bool] = False
    breaks: ClassVar[bool] = False

    def setup(self) -> None:
        super().setup()
        self.connections.append(self)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = str(len(self.connections)).encode()
        self.send_response(200 if self.headers["Authorization"] == "Bearer secret" else 401)
        self.send_header("Content-Length", str(len(body) + self.breaks))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.ends_after_an_answer or self.breaks

    def finish(self) -> None:
        super().finish()
        if self.ends_after_an_answer:
            self.connection.shutdown(socket.SHUT_WR)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    _Service.connections, _Service.ends_after_an_answer, _Service.breaks = [], False, False
    with ThreadingHTTPServer(("127.0.0.1", 0), _Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("keeps", "connections"), [(True, [b"1", b"1", b"1"]), (False, [b"1", b"2", b"3"])])
def test_a_connection_is_kept_or_made_anew(address: str, keeps: bool, connections: list[bytes]) -> None:
    client = SteadyClient(address, "secret", keeps=keeps)
    assert [client.classify("merci") for _ in range(3)] == [(200, each) for each in connections]


def test_a_connection_that_the_server_ends_between_two_requests_is_no_failure(address: str) -> None:
    _Service.ends_after_an_answer = True
    client = SteadyClient(address, "secret", keeps=True)
    for number in (b"1", b"2", b"3"):
        assert client.classify("merci") == (200, number)
        ended = client._connection
        assert ended is None or ended.sock is None or ended.sock.recv(1, socket.MSG_PEEK) == b""


def test_an_answer_that_breaks_off_is_a_failure(address: str) -> None:
    _Service.breaks = True
    for keeps in (True, False):
        with pytest.raises(FAILURES):
            SteadyClient(address, "secret", keeps=keeps).classify("merci")


def test_two_clients_ask_until_the_end_and_tell_what_they_saw(address: str) -> None:
    ended, seen, failures = threading.Event(), list[int](), list[Exception]()

    def answered(status: int, body: bytes, seconds: float) -> None:
        assert (body.isdigit(), seconds < 20) == (True, True)
        seen.append(status)
        if len(seen) == 10:
            _Service.breaks = True

    def failed(error: Exception) -> None:
        failures.append(error)
        ended.set()

    for client in two_clients(address, "wrong", "merci", ended=ended.is_set, answered=answered, failed=failed):
        client.join(20)
        assert not client.is_alive()
    assert set(seen) == {401}
    assert failures

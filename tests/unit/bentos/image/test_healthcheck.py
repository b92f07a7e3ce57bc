from __future__ import annotations

import runpy
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[4] / "src" / "passerelle" / "bentos" / "image" / "healthcheck.py"


def checked() -> int:
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(CHECK))
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",), 0),
        ((b"HTTP/", b"1.1 2", b"00 OK\r\n\r\n"), 0),
        ((b"HTTP/1.1 503 Service Unavailable\r\n\r\n",), 1),
        ((b"HTTP/1.1 2",), 1),
        ((), 1),
    ],
    ids=["ready", "in pieces", "not ready", "broken off", "nothing"],
)
def test_it_ends_with_0_only_where_the_service_says_that_it_is_ready(
    monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...], code: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(20)
        monkeypatch.setenv("BENTOML_PORT", str(server.getsockname()[1]))
        found = pool.submit(checked)
        connection, _ = server.accept()
        with connection:
            asked = connection.recv(4096)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                connection.sendall(part)
        assert found.result() == code
    assert asked.startswith(b"GET /readyz HTTP/1.1\r\n")
    assert asked.endswith(b"\r\n\r\n")


def test_it_ends_with_1_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("BENTOML_PORT", str(server.getsockname()[1]))
    assert checked() == 1

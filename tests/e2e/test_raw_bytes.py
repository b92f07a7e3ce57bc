"""Bytes on the socket that no client library sends: lengths that lie, two lengths, pipelines, no HTTP at all. The service goes on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
import requests

from passerelle.serving.routes import ROUTES
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

GOOD = b'{"text": "merci"}'
HEAD = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: 17\r\n\r\n" + GOOD
UPGRADE = WHOLE.replace(
    b"Host: localhost", b"Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA"
)
CHUNKS = b"11\r\n" + GOOD + b"\r\n0\r\n\r\n"

# What is sent, and the status of each answer. 400 is the server's own where the request cannot be read as HTTP.
SENT: dict[str, tuple[bytes, list[int]]] = {
    "a good request": (WHOLE, [200]),
    "three in a row": (WHOLE * 3, [200, 200, 200]),
    "HTTP/1.0": (WHOLE.replace(b"1.1", b"1.0"), [200]),
    "in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS, [200]),
    "asks before it sends": (WHOLE.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), [100, 200]),
    "asks before it sends too much": (HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", [413]),
    "says too much": (HEAD + b"Content-Length: 999999999999\r\n\r\n" + GOOD, [413]),
    "says more than it sends": (HEAD + b"Content-Length: 50\r\n\r\n" + GOOD, [408]),
    "a length that no machine holds": (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + GOOD, [400]),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n" + GOOD, [400]),
    "spaces after the values": (
        WHOLE.replace(b"localhost", b"localhost \t").replace(b"Length: 17", b"Length: 17 ").replace(b"/json", b"/json "),
        [200],
    ),
    "chunks and a space": (HEAD + b"Transfer-Encoding: chunked \r\n\r\n" + CHUNKS, [200]),
    "a length of two numbers": (HEAD + b"Content-Length: 17, 17\r\n\r\n" + GOOD, [400]),
    "a length with a sign": (HEAD + b"Content-Length: +17\r\n\r\n" + GOOD, [400]),
    "lines that end in LF alone": (b"GET /livez HTTP/1.1\nHost: localhost\n\n", [400]),
    "a whole URL": (WHOLE.replace(b"/classify", b"http://localhost/classify"), [200]),
    "a range in another unit": (
        b"GET /static_content/swagger-ui.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: lines=0-1\r\n\r\n",
        [200],
    ),
    "two lengths": (HEAD + b"Content-Length: 17\r\nContent-Length: 5\r\n\r\n" + GOOD, [400]),
    "a length and chunks": (HEAD + b"Content-Length: 17\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, [400]),
    "a chunk without a size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + GOOD, [400]),
    "a chunk of more than there is": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n" + GOOD, [400]),
    "a header over two lines": (HEAD + b"X-A: 1\r\n  2\r\nContent-Length: 17\r\n\r\n" + GOOD, [400]),
    "a path of 100 KB": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", [431]),
    "headers of 100 KB": (HEAD + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n", [431]),
    "100,000 headers": (HEAD + b"a:\r\n" * 100_000 + b"\r\n", [431]),
    "a chunk extension of 100 KB": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n11;" + b"a" * 100_000, [431]),
    "trailers of 100 KB": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS[:-2] + b"a: b\r\n" * 16_000, [431]),
    "headers that do not end": (HEAD + b"X-A: a", [408]),
    "a good request and half of one": (WHOLE + HEAD, [200, 408]),
    "what is no HTTP after a good request": (WHOLE + b"\xff" * 20, [200, 400]),
    "more requests than wait": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100, [200] * 100 + [503]),
    "two hosts": (WHOLE.replace(b"Host: localhost", b"Host: localhost\r\nHost: y"), [400]),
    "a page under another name": (WHOLE.replace(b"localhost", b"evil.example"), [421]),
    "a page of another site": (WHOLE.replace(b"localhost", b"localhost\r\nOrigin: https://evil.example"), [403]),
    "a page of another site asks before it sends": (
        b"OPTIONS /classify HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"
        b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
        [403],
    ),
    "a probe under another name": (b"GET /readyz HTTP/1.1\r\nHost: evil.example\r\n\r\n", [200]),
    "the page under another name": (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", [421]),
    "no host": (WHOLE.replace(b"Host: localhost\r\n", b""), [400]),
    "two keys": (WHOLE.replace(b"Host: localhost", b"Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b"), [400]),
    "a key in a trailer": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS[:-2] + b"Authorization: Bearer a\r\n\r\n", [200]),
    "a range that is none": (b"GET /static_content/swagger-ui.css HTTP/1.1\r\nHost: localhost\r\nRange: bytes=9-1\r\n\r\n", [400]),
    "a range outside": (b"GET /static_content/swagger-ui.css HTTP/1.1\r\nHost: localhost\r\nRange: bytes=99999999-\r\n\r\n", [416]),
    "NUL in the path": (b"GET /a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", [404]),
    "a broken escape in the path": (b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", [404]),
    "a request id that is none": (WHOLE.replace(b"Host: localhost", b"Host: localhost\r\nX-Request-Id: \xc3\xa9\xff"), [200]),
    # As Java's own client asks by default.
    "an upgrade that is not had": (UPGRADE, [200]),
    "three upgrades, and a request as usual": (UPGRADE * 3 + WHOLE, [200] * 4),
    "an upgrade in chunks": (
        UPGRADE.replace(b"Content-Length: 17", b"Transfer-Encoding: chunked").replace(GOOD, CHUNKS) + WHOLE,
        [200, 200],
    ),
    "an upgrade without a body": (
        UPGRADE.replace(b"POST /classify", b"GET /livez").replace(b"Content-Length: 17\r\n\r\n" + GOOD, b"\r\n") + WHOLE,
        [200, 200],
    ),
    "an upgrade and what is no HTTP": (UPGRADE + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [200, 400]),
    "a web socket": (
        b"GET /classify HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        [405],
    ),
    "no HTTP": (b"\xff" * 200 + b"\r\n\r\n", [400]),
    "TLS": (bytes.fromhex("1603010200010001fc0303"), [400]),
}


@pytest.fixture(scope="module")
def impatient(served: ServedModel) -> Iterator[ServedModel]:
    with serve(served.bentoml_home, body_timeout_s="0.5", head_timeout_s="0.5") as running:
        yield running


def exchanged(service: ServedModel, sent: bytes) -> bytes:
    """Return all that comes back until the service hangs up or has no more to say."""
    host, port = service.address.removeprefix("http://").split(":")
    came = b""
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(sent)
        try:
            while piece := connection.recv(65_536):
                came += piece
                connection.settimeout(1)
        except (TimeoutError, ConnectionResetError):
            pass
    return came


@pytest.mark.parametrize("kind", SENT)
def test_it_is_answered_and_the_next_one_too(impatient: ServedModel, kind: str) -> None:
    sent, expected = SENT[kind]
    came = exchanged(impatient, sent)
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", came)] == expected, came
    assert requests.post(f"{impatient.address}/classify", json={"text": "merci"}, timeout=5).json()["label"] == "merci"
    assert "Traceback" not in impatient.child.log_path.read_text(errors="replace")


def test_head_is_answered_wherever_get_is(impatient: ServedModel) -> None:
    for route in ROUTES:
        if "GET" not in route.methods or route.door is not None:
            continue
        path = route.path if route.metric != "static" else "/static_content/swagger-ui.css"
        asked = (requests.request(method, impatient.address + path, timeout=5, allow_redirects=False) for method in ("GET", "HEAD"))
        got, head = asked
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type" if got.content else "location"] == got.headers["content-type" if got.content else "location"]

"""What a bad client does, one turn a call: each function returns after a little while and is called again."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TEXT = "Aucune réponse à ma demande d’inscription en crèche depuis trois mois. " * 6
PIECE = b"a" * 16_384
#: No attack takes a whole core for itself: what is measured is what it costs the service.
PAUSE_S = 0.002


@dataclass(frozen=True)
class Target:
    """The service that is attacked.

    Attributes:
        keys_file: Of its API keys.
        folder: Its folder of temporary files, on a small file system where one could be mounted.
        key: Of the honest client, for what must be let in.
    """

    host: str
    port: int
    keys_file: Path
    folder: Path
    key: str

    @classmethod
    def of(cls, address: str, keys_file: str, folder: str) -> Target:
        """Return the target at an address."""
        host, _, port = address.removeprefix("http://").rpartition(":")
        return cls(host, int(port), Path(keys_file), Path(folder), os.environ.get("API_KEY", ""))

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """Yield a new connection; what breaks it ends the turn."""
        with suppress(OSError), closing(socket.create_connection((self.host, self.port), timeout=10)) as connection:
            yield connection

    def head(self, path: str, *lines: str) -> bytes:
        """Return the head of a request that is let in."""
        given = ("Host: x", f"Authorization: Bearer {self.key}", "Content-Type: application/json", *lines)
        return "\r\n".join((f"POST {path} HTTP/1.1", *given, "", "")).encode()


@cache
def batch(records: int) -> bytes:
    """Return the body of a batch."""
    return json.dumps({"records": [{"text": f"{place} {TEXT}"} for place in range(records)]}, ensure_ascii=False).encode()


def slow_heads(target: Target) -> None:
    """Open connections whose heads come byte by byte."""
    held = []
    with suppress(OSError):
        for _ in range(200):
            held.append(socket.create_connection((target.host, target.port), timeout=10))
        for byte in b"POST /classify HTTP/1.1\r\nX: ":
            for each in held:
                each.sendall(bytes([byte]))
            time.sleep(0.05)
    for each in held:
        each.close()


def slow_bodies(target: Target) -> None:
    """Open connections whose bodies come byte by byte."""
    held = []
    with suppress(OSError):
        for _ in range(200):
            held.append(socket.create_connection((target.host, target.port), timeout=10))
            held[-1].sendall(target.head("/classify", "Content-Length: 100000"))
        for _ in range(30):
            for each in held:
                each.sendall(b" ")
            time.sleep(0.05)
    for each in held:
        each.close()


def endless_trailers(target: Target) -> None:
    """Send a good request in chunks, and trailers without end behind it."""
    with target.connection() as connection:
        connection.sendall(target.head("/classify", "Transfer-Encoding: chunked") + b'11\r\n{"text": "merci"}\r\n0\r\n')
        for number in range(10_000):
            connection.sendall(b"X-%d: " % number + b"a" * 1_000 + b"\r\n")
            time.sleep(PAUSE_S)


def huge_bodies(target: Target) -> None:
    """Send a body of 200 MB, whatever is answered."""
    with target.connection() as connection:
        connection.sendall(target.head("/classify", "Content-Length: 200000000"))
        for _ in range(10_000):
            connection.sendall(PIECE)
            time.sleep(PAUSE_S / 4)


def large_batches(target: Target) -> None:
    """Send batches of 1,000 records, one after the other."""
    asking = http.client.HTTPConnection(target.host, target.port, timeout=60)
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
    with closing(asking):
        for _ in range(50):
            asking.request("POST", "/classify/batch", batch(1_000), headers)
            answer = asking.getresponse()
            answer.read()
            if answer.status not in (200, 503):
                raise SystemExit(f"a batch got {answer.status}")


def empty_records(target: Target) -> None:
    """Send as many empty records as the largest body holds."""
    body = b'{"records":[' + b"{}," * 340_000 + b"{}]}"
    with target.connection() as connection:
        connection.sendall(target.head("/classify/batch", f"Content-Length: {len(body)}") + body)
        connection.recv(65_536)
        time.sleep(PAUSE_S)


def malformed(target: Target) -> None:
    """Send what is no HTTP, and HTTP that contradicts itself."""
    for sent in (
        b"\xff" * 200 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        target.head("/classify", "Content-Length: 17", "Content-Length: 5"),
        target.head("/classify", "Transfer-Encoding: chunked") + b"zz\r\n",
        target.head("/classify", "Content-Length: 5") + b"{{{{{",
        target.head("/nothing/" + "a" * 4_000, "Content-Length: 0"),
    ):
        with target.connection() as connection:
            connection.sendall(sent)
            connection.recv(65_536)
            time.sleep(PAUSE_S)


def honest(target: Target) -> None:
    """Send a good request over a connection of its own, at the pace of the malformed ones."""
    body = json.dumps({"text": TEXT}, ensure_ascii=False).encode()
    with target.connection() as connection:
        connection.sendall(target.head("/classify", f"Content-Length: {len(body)}") + body)
        connection.recv(65_536)
        time.sleep(PAUSE_S)


def keys_replaced(target: Target) -> None:
    """Replace the file of the keys again and again, by a broken one too; the honest client's key stays in the good one."""
    kept = target.keys_file.with_suffix(".good")
    if not kept.exists():
        kept.write_bytes(target.keys_file.read_bytes())
    good = kept.read_bytes()
    for content in (good, b"{", good, b'{"keys": [{}]}', good):
        new = target.keys_file.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(0o600)
        new.replace(target.keys_file)
        time.sleep(0.1 if content != good else 0.3)


def full_folder(target: Target) -> None:
    """Fill the folder of temporary files to its last byte, and empty it again."""
    filler = target.folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.tell() < 1 << 23:
            file.write(PIECE)
    time.sleep(0.5)
    filler.unlink(missing_ok=True)
    time.sleep(0.1)


def scraped(target: Target) -> None:
    """Read the metrics twenty times a second."""
    asking = http.client.HTTPConnection(target.host, target.port, timeout=10)
    with closing(asking):
        for _ in range(100):
            asking.request("GET", "/metrics", headers={"Authorization": f"Bearer {target.key}"})
            asking.getresponse().read()
            time.sleep(0.05)


#: No attack: what it does to the other honest client is the measure of what the attacks do.
HONEST = "an honest client more"
#: One turn of each attack, by the name of its row.
KINDS: Mapping[str, Callable[[Target], None]] = {
    HONEST: honest,
    "slow heads": slow_heads,
    "slow bodies": slow_bodies,
    "endless trailers": endless_trailers,
    "huge bodies": huge_bodies,
    "batches of 1,000 records": large_batches,
    "340,000 empty records": empty_records,
    "malformed requests": malformed,
    "keys file replaced": keys_replaced,
    "full temporary folder": full_folder,
    "metrics scraped": scraped,
}

"""What clients get that send head and body in two writes, as Python's http.client does, next to those that send one; in turn.

    python -m loadtests.two_writes              64 connections, under a minute; ends with 1 where two writes get less than nine tenths

Both kinds keep their connections and ask again as soon as they are answered. The client takes a core of its own.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import selectors
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from loadtests.attacks.kinds import TEXT
from tests.service_fixtures import serve, write_store

_BODY = b'{"text": "%s"}' % TEXT.encode()
_HEAD = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
_ANSWERED = b"HTTP/1.1 200"
_LEAST = 0.9


def rate(port: int, connections: int, seconds: float, writes: tuple[bytes, ...]) -> float:
    """Return the requests a second that are answered."""
    selector, answered = selectors.DefaultSelector(), 0
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(each, selectors.EVENT_READ, each)
        for piece in writes:
            each.send(piece)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(0.5):
            connection: socket.socket = key.data
            if not connection.recv(65_536).startswith(_ANSWERED):
                raise SystemExit("a request was not answered with 200")
            answered += 1
            for piece in writes:
                connection.send(piece)
    for each in sockets:
        each.close()
    return answered / seconds


def main() -> int:
    """Measure, print the medians, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    options = parser.parse_args()
    one, two = (_HEAD + _BODY,), (_HEAD, _BODY)
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-") as name,
        serve(write_store(Path(name) / "bentoml"), access_log="false") as service,
    ):
        port = int(service.address.rpartition(":")[2])
        rate(port, options.connections, 1.0, one)
        rounds = [
            [rate(port, options.connections, options.seconds, writes) for writes in ((one, two) if number % 2 else (two, one))]
            for number in range(options.rounds)
        ]
    pairs = [(pair if number % 2 else pair[::-1]) for number, pair in enumerate(rounds)]
    ratio = statistics.median(in_two / in_one for in_one, in_two in pairs)
    print(
        f"one write {statistics.median(each[0] for each in pairs):,.0f} requests/s, two {statistics.median(each[1] for each in pairs):,.0f}"
    )
    print(f"two writes get {ratio:.2f} of what one gets" + ("" if ratio >= _LEAST else "   NOT KEPT"))
    return 0 if ratio >= _LEAST else 1


if __name__ == "__main__":
    sys.exit(main())

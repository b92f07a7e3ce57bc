"""A client in a process of its own that pours headers without end over eight connections until its stdin is closed."""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

CONNECTIONS = 8
BEGIN = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nX-Endless: "
PIECE = b"a" * 65_536


def main(port: int) -> None:
    """Pour, connect again after each refusal, and print what was seen."""
    seen = {"sent_bytes": 0, "connections": 0, "refused": 0}
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for _ in range(CONNECTIONS):
        connect(selector, port, seen)
    while True:
        for key, events in selector.select():
            if key.fileobj is sys.stdin:
                sys.stdout.write(json.dumps(seen))
                return
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            try:
                if events & selectors.EVENT_READ:
                    answer = connection.recv(65_536)
                    seen["refused"] += answer.startswith(b"HTTP/1.1 431")
                    if not answer:
                        raise ConnectionError
                    # It read the refusal and goes on all the same.
                if events & selectors.EVENT_WRITE:
                    seen["sent_bytes"] += connection.send(PIECE)
            except BlockingIOError:
                continue
            except OSError:
                selector.unregister(connection)
                connection.close()
                connect(selector, port, seen)


def connect(selector: selectors.DefaultSelector, port: int, seen: dict[str, int]) -> None:
    """Open one more connection and begin its request."""
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            break
        except OSError:
            time.sleep(0.1)
    connection.sendall(BEGIN)
    connection.setblocking(False)
    seen["connections"] += 1
    selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)


if __name__ == "__main__":
    main(int(sys.argv[1]))

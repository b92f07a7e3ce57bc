"""A client that asks all the time and costs little: what it takes of the processor, the service that it asks does not have."""

from __future__ import annotations

import http.client
import json
import select
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

#: Between two requests of a client, in seconds.
PAUSE_S = 0.01
_TIMEOUT_S = 20.0
#: What a request ends with that gets no answer.
FAILURES = (OSError, http.client.HTTPException)


class SteadyClient:
    """Posts records to one address.

    Args:
        keeps: Whether it keeps its connection, as long as the server does; else each request has a new one.
    """

    def __init__(self, address: str, token: str, *, keeps: bool) -> None:
        self._host = urlsplit(address).netloc
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._keeps = keeps
        self._connection: http.client.HTTPConnection | None = None

    def classify(self, text: str) -> tuple[int, bytes]:
        """Return status and body of the answer.

        Raises:
            OSError, HTTPException: The connection fails, or breaks before the answer is there.
        """
        if self._connection is not None and self._connection.sock and select.select([self._connection.sock], [], [], 0)[0]:
            # The server has closed it meanwhile, which every client that keeps connections looks for.
            self._close()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, timeout=_TIMEOUT_S)
        whole = False
        try:
            self._connection.request("POST", "/classify", json.dumps({"text": text}).encode(), self._headers)
            response = self._connection.getresponse()
            answer = response.status, response.read()
            whole = True
        finally:
            if not (whole and self._keeps):
                self._close()
        return answer

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def two_clients(
    address: str,
    token: str,
    text: str,
    *,
    ended: Callable[[], bool],
    answered: Callable[[int, bytes, float], None],
    failed: Callable[[Exception], None],
) -> list[threading.Thread]:
    """Start two clients that ask until it has ended, one that keeps its connection and one that makes a new one each time.

    Args:
        answered: Gets status, body and seconds of each answer.
        failed: Gets what a request ended with that got no answer.
    """

    def ask(client: SteadyClient) -> None:
        while not ended():
            began = time.monotonic()
            try:
                status, body = client.classify(text)
            except FAILURES as error:
                failed(error)
            else:
                answered(status, body, time.monotonic() - began)
            time.sleep(PAUSE_S)

    clients = [threading.Thread(target=ask, args=(SteadyClient(address, token, keeps=keeps),), daemon=True) for keeps in (False, True)]
    for client in clients:
        client.start()
    return clients

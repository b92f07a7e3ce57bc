"""Traffic on a service in a process of its own: every answer is checked against what the version that it names says of that text.

`python -m tests.follow.load ANSWERS OUT ADDRESS…` asks until it is ended, and writes a line for each request: when it was sent (on the
monotonic clock), seconds to its answer, status (0: none came), version, whether the label is right, and how many connections broke.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import TextIO
from urllib.parse import urlsplit

from passerelle.model.prediction_id import run_prefix_of

TIMEOUT_S = 40.0
#: A connection is closed after so many requests, so that the next one may go to another worker.
_REQUESTS_A_CONNECTION = 100
_ATTEMPTS = 4


@dataclass(frozen=True)
class Asked:
    """One request and its answer."""

    sent: float
    seconds: float
    status: int
    version: str
    right: bool
    broken: int


@dataclass
class Traffic:
    """What became of the requests of a while.

    Attributes:
        broken: Connections that broke without an answer; what was asked on them was asked again on a new one.
    """

    asked: list[Asked] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests that got no answer, or another status than 200."""
        return sum(each.status != 200 for each in self.asked)

    @property
    def wrong(self) -> int:
        """Answers whose label is not what the version that they name gives on that text."""
        return sum(each.status == 200 and not each.right for each in self.asked)

    @property
    def broken(self) -> int:
        return sum(each.broken for each in self.asked)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(each.status for each in self.asked)

    @property
    def versions(self) -> Counter[str]:
        return Counter(each.version for each in self.asked)

    @property
    def p99_ms(self) -> float:
        """99 of 100 answers took less."""
        return quantiles([each.seconds for each in self.asked], n=100)[98] * 1_000


class Load:
    """A process that asks until it is ended.

    Args:
        answers: What each version answers, as `Versions` writes it.
        out: Gets a line a request.
        addresses: Of the service; one that does not answer is left for the next.
        connections: That are kept.
        pause_s: Between two requests of a connection.
    """

    def __init__(self, answers: Path, out: Path, addresses: Sequence[str], *, connections: int = 4, pause_s: float = 0.02) -> None:
        self._out = out
        options = [str(connections), str(pause_s)]
        command = [sys.executable, "-m", "tests.follow.load", str(answers), str(out), *options, *addresses]
        out.touch()
        self._process = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2])

    def mark(self) -> int:
        """Return where the record of requests ends now."""
        return self._out.stat().st_size

    def since(self, mark: int) -> Traffic:
        """Return what was asked since then."""
        with self._out.open("rb") as file:
            file.seek(mark)
            lines = file.read().split(b"\n")
        # The first and the last may be parts of a line.
        return Traffic([_parsed(line) for line in lines[:-1] if line.count(b" ") == 5])

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def _parsed(line: bytes) -> Asked:
    sent, seconds, status, version, right, broken = line.decode().split(" ")
    return Asked(float(sent), float(seconds), int(status), version, right == "1", int(broken))


class _Known:
    """What each version answers; read again for a version that was not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answers: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))

    def right(self, version: str, text: str, label: object) -> bool:
        if version not in self.answers:
            self.answers = json.loads(self._path.read_text(encoding="utf-8"))
        return self.answers.get(version, {}).get(text) == label


class _Client:
    """One connection that is kept, to one of several addresses."""

    def __init__(self, addresses: Sequence[str], number: int) -> None:
        self._hosts = [str(urlsplit(address).netloc) for address in addresses]
        self._place = number
        self._connection: http.client.HTTPConnection | None = None
        self._asked = 0

    def ask(self, text: str) -> tuple[int, bytes, int]:
        """Return status, body and how many connections broke; a request that got no answer is sent again, as every proxy does."""
        self._asked += 1
        if self._connection is not None and self._asked % _REQUESTS_A_CONNECTION == 0:
            self._connection.close()
            self._connection = None
        for broken in range(_ATTEMPTS):
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(self._hosts[self._place % len(self._hosts)], timeout=TIMEOUT_S)
                body = json.dumps({"text": text}).encode()
                self._connection.request("POST", "/classify", body, {"content-type": "application/json"})
                response = self._connection.getresponse()
                return response.status, response.read(), broken
            except (OSError, http.client.HTTPException):
                assert self._connection is not None
                self._connection.close()
                self._connection = None
                self._place += 1
        return 0, b"", _ATTEMPTS


def _asking(client: _Client, known: _Known, out: TextIO, lock: threading.Lock, pause_s: float) -> None:
    texts = list(next(iter(known.answers.values())))
    for number in count():
        text, sent = texts[number % len(texts)], time.monotonic()
        status, body, broken = client.ask(text)
        seconds, version, right = time.monotonic() - sent, "-", False
        if status == 200:
            answer = json.loads(body)
            version = str(answer["model_version"])
            run = run_prefix_of(answer["prediction_id"])
            right = known.right(f"{version} {run}", text, answer["label"])
        with lock:
            out.write(f"{sent:.6f} {seconds:.6f} {status} {version} {int(right)} {broken}\n")
        time.sleep(pause_s)


def main(answers: str, out: str, connections: str, pause_s: str, *addresses: str) -> None:
    """Ask until this process is ended."""
    known, lock = _Known(Path(answers)), threading.Lock()
    with Path(out).open("a", buffering=1, encoding="utf-8") as file:
        threads = [
            threading.Thread(target=_asking, args=(_Client(addresses, number), known, file, lock, float(pause_s)))
            for number in range(int(connections))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])

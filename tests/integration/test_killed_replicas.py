"""Replicas that are killed at any write of an answer lose no answer of a client behind the stack's proxy."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from passerelle.platform.ports import free_ports
from passerelle.rollout.stack_images import folder_digests
from tests.engine_fixtures import stack_image
from tests.unit.serving.models import text_pipeline, text_table, write_bento_model

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
BODY = json.dumps({"text": "aucune réponse depuis trois mois"})
BATCH = json.dumps({"records": [{"text": "aucune réponse depuis trois mois"}] * 50})
ASKED = (
    ("POST", "/classify", BODY, False),
    ("POST", "/classify", BODY, True),
    ("POST", "/classify/batch", BATCH, True),
    ("GET", "/model", None, True),
)


def caddyfile(ports: Sequence[int], port: int, other: Sequence[int]) -> str:
    """Return the stack's, with these ports, and with a replica taken for lost as briefly as they are gone here."""
    text = (ROOT / "deploy" / "proxy" / "Caddyfile").read_text()
    for pattern, by in (
        (r"admin 127.0.0.1:2019", "admin off"),
        (r"http_port 8080", f"http_port {port}"),
        (r"https_port 8443", f"https_port {other[0]}"),
        (r"http://:8081", f"http://:{other[1]}"),
        (r"service-1:3000 service-2:3000", f"127.0.0.1:{ports[0]} 127.0.0.1:{ports[1]}"),
        (r"fail_duration 2s", "fail_duration 50ms"),
        (r"health_interval 1s", "health_interval 50ms"),
    ):
        text, count = re.subn(pattern, by, text)
        assert count == 1, pattern
    return text


def proxy_image(engine: str) -> str:
    """Return the image of the stack's proxy, built where it is not there yet."""
    image = stack_image("proxy")
    there = subprocess.run([engine, "image", "inspect", image], capture_output=True, check=False, timeout=60)
    if there.returncode != 0:
        build = [engine, "compose", "-f", "deploy/compose.yaml", "build", "--quiet", "proxy"]
        environment = {**os.environ, **folder_digests(ROOT / "deploy")}
        subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=500)
    return image


@contextmanager
def proxied(engine: str, folder: Path, ports: Sequence[int]) -> Iterator[int]:
    """Run the stack's proxy in front of two ports of this machine."""
    port, *other = free_ports(3)
    folder.chmod(0o755)
    (folder / "Caddyfile").write_text(caddyfile(ports, port, other))
    image = proxy_image(engine)
    name = f"passerelle-test-proxy-{os.getpid()}"
    command = [
        engine,
        "run",
        "--rm",
        "--detach",
        "--name",
        name,
        "--network",
        "host",
        "--volume",
        f"{folder}/Caddyfile:/etc/caddy/Caddyfile:ro",
    ]
    subprocess.run([*command, "--env", f"SITE_ADDRESS=http://:{port}", image], capture_output=True, text=True, check=True, timeout=120)
    try:
        yield port
    finally:
        subprocess.run([engine, "rm", "--force", name], capture_output=True, check=True, timeout=60)


class Clients:
    """Ask without a pause until it ends, and note what fails."""

    def __init__(self, port: int) -> None:
        self.answered, self.failed = 0, list[str]()
        self._port = port
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=asked, daemon=True) for asked in ASKED]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(30)

    def once(self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None) -> str:
        """Return what is wrong with an answer; nothing for a good one."""
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        return "" if answer.status == 200 else f"{answer.status} {content[:100]!r}"

    def _ask(self, method: str, path: str, body: str | None, kept: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._ends.is_set():
            try:
                wrong = self.once(connection, method, path, body)
                if wrong:
                    self.failed.append(f"{method} {path}: {wrong}")
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{method} {path}: {error!r}")
                connection.close()
            if not kept:
                connection.close()
            time.sleep(0.002)
        connection.close()


def killed(engine: str, folder: Path, *, kills: int, protocol: str) -> Clients:
    """Return the answers that clients got behind the proxy while replicas were killed this many times."""
    model = write_bento_model(folder / "model", text_pipeline(), text_table()[0])
    ports = free_ports(2)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PASSERELLE_", "OTEL_"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [sys.executable, "-m", "tests.integration.killed_replicas", str(model), *map(str, ports), str(kills), protocol]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=ROOT) as replicas,
        proxied(engine, folder, ports) as port,
    ):
        assert replicas.stdin is not None
        assert replicas.stdout is not None
        try:
            assert replicas.stdout.readline() == "running\n"
            clients = Clients(port)
            wait_for_proxy(clients, port)
            clients.begin()
            replicas.stdin.write("\n")
            replicas.stdin.flush()
            assert replicas.stdout.readline() == "killed\n"
            clients.end()
        finally:
            replicas.stdin.close()
            replicas.wait(30)
    return clients


def wait_for_proxy(clients: Clients, port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if clients.once(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "GET", "/model", None) == "":
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    raise AssertionError("the proxy does not answer")


@pytest.mark.timing
def test_no_answer_is_lost(engine: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    began = time.monotonic()
    clients = killed(engine, tmp_path, kills=200, protocol="ours")
    figure = f"{clients.answered} answers, {len(clients.failed)} failed, {time.monotonic() - began:.0f} s"
    record_property("figure", f"200 kills at the writes of answers: {figure}")
    assert dict(Counter(clients.failed)) == {}
    assert clients.answered > 200


@pytest.mark.timing
def test_two_writes_would_lose_some(engine: str, tmp_path: Path) -> None:
    """With uvicorn's own protocol, which writes head and body one after the other, the same kills are seen."""
    assert killed(engine, tmp_path, kills=25, protocol="plain").failed


ANSWERING = """
import http.server, sys
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    do_POST = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def test_what_waits_on_a_replica_that_hangs_is_answered_by_the_other(engine: str, tmp_path: Path) -> None:
    """The replicas are stopped by a signal, as `docker pause` does it: the kernel goes on taking their connections."""
    ports = free_ports(2)
    replicas = [subprocess.Popen([sys.executable, "-c", ANSWERING, str(port)]) for port in ports]
    seconds, wrong = [], []

    def ask(port: int) -> None:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/classify", BODY, {"Content-Type": "application/json"})
        status = connection.getresponse().status
        seconds.append(time.monotonic() - began)
        wrong.extend([status] if status != 200 else [])

    try:
        with proxied(engine, tmp_path, ports) as port:
            for _ in range(100):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    ask(port)
                if seconds and not wrong:
                    break
                wrong.clear()
                time.sleep(0.1)
            seconds.clear()
            replicas[0].send_signal(signal.SIGSTOP)
            asking = [threading.Thread(target=ask, args=(port,)) for _ in range(20)]
            for each in asking:
                each.start()
                time.sleep(0.02)
            for each in asking:
                each.join(30)
            ask(port)
            assert (len(seconds), wrong) == (21, [])
            assert seconds[-1] < 1, "it is taken out"
            assert 3.5 < max(seconds) < 8, "those that waited on it were asked of the other after four seconds"
    finally:
        for replica in replicas:
            replica.kill()
            replica.wait()

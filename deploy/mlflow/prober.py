"""Ask each part of the stack whether it answers, how full its disks are, when its certificates expire, and whether the ledgers verify.

Prometheus scrapes the answers, and learns here which Alertmanager is to be told: both change without a tracked file being edited.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prober_ledgers import watch_ledgers
from prober_parts import answers, certificate_dates, mlflow_answers, postgresql_answers, s3_answers
from prometheus_client import REGISTRY, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from secret import say

PORT = 9100
#: Prometheus gives a scrape no longer than its interval.
SCRAPE_S = 4.0
#: Where compose.yaml mounts the volumes, each under its own name.
VOLUMES = Path("/volumes")
#: Of the profile `alerts`.
OWN_ALERTMANAGER = "http://alertmanager:9093"


class Parts(Collector):
    """Asks at each scrape: what Prometheus stores is as old as its timestamp says."""

    def __init__(self, parts: "dict[str, Callable[[], bool]]", certificates: "dict[str, tuple[str, int, str]]") -> None:
        """Watch these.

        Args:
            parts: What asks each part.
            certificates: Host, port and server name of each certificate.
        """
        self._questions: dict[str, Callable[[], Any]] = {
            **parts,
            **{f"certificate of {name}": partial(certificate_dates, *place) for name, place in certificates.items()},
        }
        self._parts, self._certificates = tuple(parts), tuple(certificates)
        self._pool = ThreadPoolExecutor(len(self._questions))
        self._asked: dict[str, Future[Any]] = {}
        self._said: dict[str, bool] = {}
        self._one_at_a_time = threading.Lock()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the metrics."""
        found = self._answers()
        success = GaugeMetricFamily("passerelle_probe_success", "1 where the part answers.", labels=["part"])
        for part in self._parts:
            success.add_metric([part], float(self._noted(part, answered=bool(found.get(part)))))
        begins = GaugeMetricFamily("passerelle_certificate_not_before_timestamp_seconds", "Begin of its validity.", labels=["part"])
        ends = GaugeMetricFamily("passerelle_certificate_not_after_timestamp_seconds", "End of its validity.", labels=["part"])
        for part in self._certificates:
            dates = found.get(f"certificate of {part}")
            for family, seconds in zip((begins, ends), dates or (), strict=False):
                family.add_metric([part], seconds)
        yield from (success, begins, ends, *_disks(sorted(VOLUMES.iterdir()) if VOLUMES.is_dir() else []))

    def _answers(self) -> "dict[str, Any]":
        """Return what was answered within the time that a scrape has.

        A name that nobody has can take the resolver longer: the question goes on, and is not asked a second time meanwhile.
        """
        with self._one_at_a_time:
            return self._answers_of_now()

    def _answers_of_now(self) -> "dict[str, Any]":
        for name, question in self._questions.items():
            if name not in self._asked:
                self._asked[name] = self._pool.submit(question)
        done, _ = wait(self._asked.values(), timeout=SCRAPE_S)
        answered = {name: future for name, future in self._asked.items() if future in done}
        self._asked = {name: future for name, future in self._asked.items() if future not in done}
        return {name: future.result() for name, future in answered.items()}

    def _noted(self, part: str, *, answered: bool) -> bool:
        if self._said.get(part, True) != answered:
            say(f"{part} {'answers again' if answered else 'does not answer'}")
        self._said[part] = answered
        return answered


def _disks(volumes: "Iterable[Path]") -> "tuple[GaugeMetricFamily, GaugeMetricFamily]":
    size = GaugeMetricFamily("passerelle_disk_size_bytes", "Size of the disk that holds the volume.", labels=["volume"])
    free = GaugeMetricFamily("passerelle_disk_free_bytes", "What is left on it for users other than root.", labels=["volume"])
    for path in volumes:
        disk = os.statvfs(path)
        # As df counts: what is kept for root is neither.
        size.add_metric([path.name], float((disk.f_blocks - disk.f_bfree + disk.f_bavail) * disk.f_frsize))
        free.add_metric([path.name], float(disk.f_bavail * disk.f_frsize))
    return size, free


def certificates() -> "dict[str, tuple[str, int, str]]":
    """Return which certificates there are: the proxy's where it has a name to answer on, and those of servers elsewhere."""
    found = {}
    for site in (os.environ.get("SITE_ADDRESS") or "").replace(",", " ").split():
        if not site.startswith("http://"):
            name = site.removeprefix("https://").partition("/")[0].partition(":")[0]
            found[f"proxy {name}"] = (os.environ.get("PROXY_HOST", "proxy"), int(os.environ.get("PROXY_TLS_PORT", "8443")), name)
    s3 = urlsplit(os.environ.get("S3_ENDPOINT_URL") or "")
    if s3.scheme == "https" and s3.hostname:
        found["s3"] = (s3.hostname, s3.port or 443, s3.hostname)
    return found


def parts() -> "dict[str, Callable[[], bool]]":
    """Return what asks each part of the stack."""
    s3 = os.environ.get("S3_ENDPOINT_URL")
    return {
        "mlflow": lambda: mlflow_answers(os.environ.get("MLFLOW_TRACKING_URI", "http://mlflow:5000")),
        "postgresql": lambda: postgresql_answers(os.environ.get("POSTGRES_HOST", "postgres"), int(os.environ.get("POSTGRES_PORT", "5432"))),
        "s3" if s3 else "minio": lambda: s3_answers(s3 or "http://minio:9000"),
        "proxy": lambda: answers(os.environ.get("PROXY_URL", "http://proxy:8081/")),
    }


def alertmanagers() -> "list[dict[str, object]]":
    """Return the Alertmanagers that Prometheus is to tell, in the form of its HTTP service discovery."""
    profiles = (os.environ.get("COMPOSE_PROFILES") or "").split(",")
    addresses = (os.environ.get("ALERTMANAGER_URL") or (OWN_ALERTMANAGER if "alerts" in profiles else "")).replace(",", " ").split()
    found: list[dict[str, object]] = []
    for address in addresses:
        url = urlsplit(address)
        if url.scheme not in ("http", "https") or not url.hostname:
            say(f"ALERTMANAGER_URL holds {address}, which is not the address of an HTTP server: nobody is told of alerts there")
            continue
        port = url.port or (443 if url.scheme == "https" else 80)
        labels = {"alertmanager_scheme": url.scheme, "alertmanager_path": f"{url.path.rstrip('/')}/api/v2/alerts"}
        found.append({"targets": [f"{url.hostname}:{port}"], "labels": labels})
    return found


class _Beside(ThreadingMixIn, WSGIServer):
    """Answers beside a scrape: while a part hangs, that one takes longer than the container's health check waits."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: Prometheus asks every few seconds."""


def main() -> None:
    """Answer Prometheus until the container is stopped."""
    REGISTRY.register(Parts(parts(), certificates()))
    threading.Thread(target=watch_ledgers, daemon=True).start()
    metrics, managers = make_wsgi_app(REGISTRY), json.dumps(alertmanagers()).encode()

    def answer(environ: "dict[str, Any]", start: "Callable[..., object]") -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/alertmanagers":
            start("200 OK", [("Content-Type", "application/json")])
            return [managers]
        shown: Iterable[bytes] = metrics(environ, start)
        return shown

    with make_server("", PORT, answer, server_class=_Beside, handler_class=_Quiet) as server:
        say(f"probes {', '.join(parts())} at each scrape of port {PORT}")
        server.serve_forever()


if __name__ == "__main__":
    main()

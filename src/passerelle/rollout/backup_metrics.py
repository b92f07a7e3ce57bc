"""What Prometheus asks of the container that makes backups: when the last good one was made, and how many failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from passerelle.rollout.backup_rotation import moment_of


@dataclass
class BackupMetrics:
    """The figures of one folder of backups; what is in it is looked at when they are asked for.

    Attributes:
        failures: Backups that failed since the start.
    """

    folder: Path
    failures: int = 0

    def text(self) -> str:
        """Return the figures in Prometheus' format."""
        dated = sorted((moment, path) for path in self.folder.glob("passerelle-*") if (moment := moment_of(path)))
        last, size = (dated[-1][0].timestamp(), dated[-1][1].stat().st_size) if dated else (0, 0)
        figures = (
            ("passerelle_backup_last_success_timestamp_seconds", "gauge", "When the newest backup was made; 0 where there is none.", last),
            ("passerelle_backup_last_size_bytes", "gauge", "Size of the newest backup.", size),
            ("passerelle_backup_files", "gauge", "Backups in the folder.", len(dated)),
            ("passerelle_backup_failures_total", "counter", "Backups that failed since the start.", self.failures),
        )
        return "".join(f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, text, value in figures)


@contextmanager
def serving(metrics: BackupMetrics, port: int) -> Iterator[int]:
    """Answer `/metrics` on all addresses of this container, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the figures."""
            known = self.path.partition("?")[0] == "/metrics"
            content = metrics.text().encode() if known else b"only /metrics\n"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log no request."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()

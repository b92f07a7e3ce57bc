"""What Prometheus asks of the container that makes backups: when the last good one was made, and how many failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from passerelle.rollout.backup_rotation import moment_of


@dataclass(eq=False)
class BackupMetrics(Collector):
    """The figures of one folder of backups; what is in it is looked at when they are asked for.

    Attributes:
        failures: Backups that failed since the start.
    """

    folder: Path
    failures: int = 0

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        dated = sorted((moment, path) for path in self.folder.glob("passerelle-*") if (moment := moment_of(path)))
        last, size = (dated[-1][0].timestamp(), dated[-1][1].stat().st_size) if dated else (0, 0)
        name, meaning = "passerelle_backup_last_success_timestamp_seconds", "When the newest backup was made; 0 where there is none."
        yield GaugeMetricFamily(name, meaning, value=last)
        yield GaugeMetricFamily("passerelle_backup_last_size_bytes", "Size of the newest backup.", value=size)
        yield GaugeMetricFamily("passerelle_backup_files", "Backups in the folder.", value=len(dated))
        yield CounterMetricFamily("passerelle_backup_failures", "Backups that failed since the start.", value=self.failures)


@contextmanager
def serving(metrics: BackupMetrics, port: int) -> Iterator[int]:
    """Answer `/metrics` on all addresses of this container, and yield the port."""
    registry = CollectorRegistry()
    registry.register(metrics)
    server, _ = start_http_server(port, registry=registry)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()

"""Metrics of the service, in Prometheus' conventions."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LATENCY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CHARACTERS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)
_RECORDS = (1, 2, 5, 10, 50, 100, 500, 1_000)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("passerelle_requests", "Requests answered.", ["route", "status"], registry=self.registry)
        self.latency = Histogram(
            "passerelle_request_duration_seconds", "Time to answer.", ["route"], buckets=_LATENCY_SECONDS, registry=self.registry
        )
        self.in_flight = Gauge("passerelle_requests_in_flight", "Requests that are being answered.", registry=self.registry)
        self.predictions = Counter("passerelle_predictions", "Records classified.", ["label", "model_version"], registry=self.registry)
        self.reviews = Counter("passerelle_reviews", "Answers that a person should look at.", ["model_version"], registry=self.registry)
        self.characters = Histogram("passerelle_text_characters", "Length of a text.", buckets=_CHARACTERS, registry=self.registry)
        self.batch_records = Histogram(
            "passerelle_batch_records", "Records of one batch request.", buckets=_RECORDS, registry=self.registry
        )
        self.model_loaded = Gauge(
            "passerelle_model_loaded_timestamp_seconds", "When the model was loaded, Unix time.", ["model_version"], registry=self.registry
        )
        self.model_load_seconds = Gauge(
            "passerelle_model_load_seconds",
            "Time that the load took, golden predictions included.",
            ["model_version"],
            registry=self.registry,
        )
        # A child is looked up by its labels once; `labels()` on each request costs more than the count itself.
        self._requests: dict[tuple[str, int], Counter] = {}
        self._latency: dict[str, Histogram] = {}
        self._predictions: dict[tuple[str, str], Counter] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        counter = self._requests.get((route, status))
        if counter is None:
            counter = self._requests[route, status] = self.requests.labels(route, str(status))
        histogram = self._latency.get(route)
        if histogram is None:
            histogram = self._latency[route] = self.latency.labels(route)
        counter.inc()
        histogram.observe(seconds)

    def predicted(self, label: str, model_version: str) -> None:
        """Count a record that was classified."""
        counter = self._predictions.get((label, model_version))
        if counter is None:
            counter = self._predictions[label, model_version] = self.predictions.labels(label, model_version)
        counter.inc()

    def render(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self.registry)

"""Metrics of the service, by Prometheus' conventions, summed over the worker processes."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from passerelle.monitoring.metrics_text import MetricsText, rendered_in_turns
from passerelle.monitoring.shared_counts import SharedCounts, restore_all

#: The metrics that `passerelle monitor` reads back.
REQUESTS, PREDICTIONS, REVIEWS = "passerelle_requests", "passerelle_predictions", "passerelle_reviews"
LATENCY_SECONDS, MODEL_LOAD_SECONDS = "passerelle_request_duration_seconds", "passerelle_model_load_seconds"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LATENCY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_CHARACTERS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)
_SAMPLE_S = 1.0
_LAG_SAMPLE_S = 0.1
_RECORDS = (1, 2, 5, 10, 50, 100, 500, 1_000)
_FAULTS = ("500", "503")
#: Labels that have a count of their own, of all versions together: an adopted model of one's own code may answer any text.
_MOST_LABELS = 5_000
#: Counts the others.
OTHER_LABELS = "(others)"


class Metrics:
    """The metrics of one worker, and of all of them where they share a folder.

    Args:
        folder: Where several workers keep their counts for each other; None for a single one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.registry = registry = CollectorRegistry()
        _count_in(folder)
        self.requests = Counter(REQUESTS, "Requests answered.", ["route", "status", "door"], registry=registry)
        self.latency = Histogram(LATENCY_SECONDS, "Time to answer.", ["route", "door"], buckets=_LATENCY_SECONDS, registry=registry)
        self.in_flight = Gauge(
            "passerelle_requests_in_flight", "Requests that are being answered.", registry=registry, multiprocess_mode="livesum"
        )
        self.lag = Histogram(
            "passerelle_event_loop_lag_seconds",
            "How late the event loop came to a timer: whatever arrived meanwhile waited as long before it was looked at.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )
        self.queued = Gauge(
            "passerelle_requests_queued", "Requests that wait for the model.", registry=registry, multiprocess_mode="livesum"
        )
        self.workers = Gauge("passerelle_workers", "Processes that answer requests.", registry=registry, multiprocess_mode="livesum")
        self.predictions = Counter(PREDICTIONS, "Records classified.", ["label", "model_version"], registry=registry)
        self.reviews = Counter(REVIEWS, "Answers that a person should look at.", ["model_version"], registry=registry)
        self.characters = Histogram("passerelle_text_characters", "Length of a text.", buckets=_CHARACTERS, registry=registry)
        self.batch_records = Histogram("passerelle_batch_records", "Records of one batch request.", buckets=_RECORDS, registry=registry)
        self.together = Histogram(
            "passerelle_micro_batch_records", "Records that the pipeline predicted together.", buckets=_RECORDS, registry=registry
        )
        self.model_created = _of_model(registry, "passerelle_model_created_timestamp_seconds", "When the model was trained, Unix time.")
        self.model_loaded = _of_model(registry, "passerelle_model_loaded_timestamp_seconds", "When the model was loaded, Unix time.")
        self.model_load_seconds = _of_model(registry, MODEL_LOAD_SECONDS, "Time that the load took, golden predictions included.")
        self._add_following(registry)
        # A child is looked up by its labels once; `labels()` on each request costs more than the count itself.
        self._requests: dict[tuple[str, int], Counter] = {}
        self._latency: dict[str, Histogram] = {}
        self._predictions: dict[tuple[str, str], Counter] = {}
        self._reviews: dict[str, Counter] = {}
        self.workers.set(1)
        self._look: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._text = MetricsText(self._render)

    def _add_following(self, registry: CollectorRegistry) -> None:
        """Add the metrics of a service that follows the registry."""
        self.follow_polls = Counter("passerelle_follow_polls", "Polls of the registry.", ["target", "outcome"], registry=registry)
        self.follow_swaps = Counter("passerelle_follow_swaps", "Swaps to another version.", ["target"], registry=registry)
        self.follow_in_step = Gauge(
            "passerelle_follow_in_step",
            "1 where the version that the alias points to is served.",
            ["target"],
            registry=registry,
            multiprocess_mode="livemin",
        )

    def answered(self, route: str, status: int, seconds: float, door: str | None = None) -> None:
        """Count a request that was answered.

        Args:
            door: The foreign protocol that the route is part of; the label is empty, which Prometheus takes for absent, without one.
        """
        counter = self._requests.get((route, status))
        if counter is None:
            counter = self._requests[route, status] = self.requests.labels(route, str(status), door or "")
        histogram = self._latency.get(route)
        if histogram is None:
            histogram = self._latency[route] = self.latency.labels(route, door or "")
            for fault in _FAULTS:
                # Prometheus knows no rate of a series that begins with the first fault.
                self.requests.labels(route, fault, door or "")
        counter.inc()
        histogram.observe(seconds)

    def predicted(self, label: str, model_version: str) -> None:
        """Count a record that was classified."""
        counter = self._predictions.get((label, model_version))
        if counter is None:
            if len(self._predictions) >= _MOST_LABELS and label != OTHER_LABELS:
                self.predicted(OTHER_LABELS, model_version)
                return
            counter = self._predictions[label, model_version] = self.predictions.labels(label, model_version)
        counter.inc()

    def review(self, model_version: str) -> None:
        """Count an answer that a person should look at."""
        counter = self._reviews.get(model_version)
        if counter is None:
            counter = self._reviews[model_version] = self.reviews.labels(model_version)
        counter.inc()

    def sample(self, look: Callable[[], tuple[int, int]]) -> None:
        """Read the numbers of requests in flight and waiting from this function: cheaper than counting each request up and down."""
        self._look = look

    def keep_sampling(self) -> None:
        """Share the counts with the other workers once a second, and measure the event loop's lag ten times a second, in that loop."""
        loop = asyncio.get_running_loop()
        self._sample_lag(loop, loop.time() + _LAG_SAMPLE_S)
        if self._folder is not None:
            self._tell_others(loop)

    def _tell_others(self, loop: asyncio.AbstractEventLoop) -> None:
        self._take_sample()
        restore_all()
        loop.call_later(_SAMPLE_S, self._tell_others, loop)

    def _sample_lag(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        def look() -> None:
            now = loop.time()
            self.lag.observe(max(0.0, now - due))
            self._sample_lag(loop, now + _LAG_SAMPLE_S)

        loop.call_at(due, look)

    async def rendered(self) -> bytes:
        """Return the metrics of all workers in the text format, as they are now or shortly after."""
        return await self._text.current()

    async def _render(self) -> bytes:
        """Render between other requests, and outside the event loop if there are files to read."""
        self._take_sample()
        return await rendered_in_turns(self.registry) if self._folder is None else await asyncio.to_thread(self.render)

    def _take_sample(self) -> None:
        in_flight, queued = self._look()
        self.in_flight.set(in_flight)
        self.queued.set(queued)

    def render(self) -> bytes:
        """Return the metrics of all workers in the text format."""
        if self._folder is None:
            return generate_latest(self.registry)
        try:
            for pid in _left_by_the_dead(self._folder):
                mark_process_dead(pid, str(self._folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(self._folder))
            return generate_latest(registry)
        except (OSError, ValueError, RuntimeError, LookupError, struct.error):
            # The folder is gone, or a file in it was damaged: what this worker counted is still true.
            return generate_latest(self.registry)


def _of_model(registry: CollectorRegistry, name: str, text: str) -> Gauge:
    return Gauge(name, text, ["model_version"], registry=registry, multiprocess_mode="livemax")


def _count_in(folder: Path | None) -> None:
    """Let the metrics that are made next keep their counts in files of this folder, or in this process alone.

    BentoML points prometheus_client at a folder that every service of a store shares and that each start of one empties.
    """
    if folder is None:
        values.ValueClass = values.MutexValue
        return
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    # The library looks the class up by this name when it makes a value.
    setattr(values, "MmapedDict", SharedCounts)  # noqa: B010 - it declares another type
    pid = os.getpid()
    same: Callable[[], int] = lambda: pid  # noqa: E731 - the library asks at each count, and `os.getpid` is a system call
    values.ValueClass = values.MultiProcessValue(process_identifier=same)


def _left_by_the_dead(folder: Path) -> list[int]:
    pids = {int(number) for path in folder.glob("gauge_live*.db") if (number := path.stem.rpartition("_")[2]).isdecimal()}
    return [pid for pid in pids if not _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

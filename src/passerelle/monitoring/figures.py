"""The figures that a service's metrics add up to, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from passerelle.monitoring.drift.last_result import LastDrift
from passerelle.monitoring.metrics import LATENCY_SECONDS, MODEL_LOAD_SECONDS, PREDICTIONS, REQUESTS, REVIEWS
from passerelle.names import (
    CLASSIFY,
    CLASSIFY_BATCH,
    GOLDEN_ROUTE,
    INFER_ROUTE,
    INVOCATIONS_ROUTE,
    PREDICT,
    PREDICT_BATCH,
    PREDICT_V1_ROUTE,
)

_CLASSIFYING = frozenset({CLASSIFY, CLASSIFY_BATCH, INFER_ROUTE, INVOCATIONS_ROUTE, PREDICT, PREDICT_BATCH, PREDICT_V1_ROUTE})


@dataclass(frozen=True)
class Figures:
    """What a service answered since it started.

    Attributes:
        requests: By HTTP status, on the routes that classify.
        latency_p50_ms: Half of the requests took less, as far as the buckets tell; None before the first one.
        latency_p95_ms: As above, for 95 of 100.
        predictions: Records by class.
        review_share: Share of the records that a person should look at; None before the first one.
        golden_replays: Requests of `deploy` with golden inputs, which no other figure counts.
        drift: What `passerelle drift` found last; None where it has not looked yet.
        day_is_over: Whether it has something to look at: the prediction log holds answers of a day before today.
    """

    address: str
    model_version: str | None
    requests: Mapping[str, int]
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    predictions: Mapping[str, int]
    review_share: float | None
    drift: LastDrift | None = None
    golden_replays: int = 0
    day_is_over: bool = True


def read_figures(text: str, *, address: str) -> Figures:
    """Return the figures in the text of `/metrics`."""
    requests: dict[str, int] = {}
    predictions: dict[str, int] = {}
    buckets: dict[float, float] = {}
    reviews, version, golden = 0.0, None, 0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == f"{REQUESTS}_total" and labels["route"] in _CLASSIFYING:
                requests[labels["status"]] = requests.get(labels["status"], 0) + int(sample.value)
            elif sample.name == f"{REQUESTS}_total" and labels["route"] == GOLDEN_ROUTE:
                golden += int(sample.value)
            elif sample.name == f"{PREDICTIONS}_total":
                predictions[labels["label"]] = predictions.get(labels["label"], 0) + int(sample.value)
            elif sample.name == f"{REVIEWS}_total":
                reviews += sample.value
            elif sample.name == MODEL_LOAD_SECONDS:
                version = labels["model_version"]
            elif sample.name == f"{LATENCY_SECONDS}_bucket" and labels["route"] in _CLASSIFYING:
                buckets[float(labels["le"])] = buckets.get(float(labels["le"]), 0.0) + sample.value
    records = sum(predictions.values())
    return Figures(
        address=address,
        model_version=version,
        requests={status: count for status, count in sorted(requests.items()) if count},
        latency_p50_ms=_quantile_ms(sorted(buckets.items()), 0.5),
        latency_p95_ms=_quantile_ms(sorted(buckets.items()), 0.95),
        predictions=dict(sorted(predictions.items(), key=lambda item: -item[1])),
        review_share=reviews / records if records else None,
        golden_replays=golden,
    )


def _quantile_ms(buckets: Sequence[tuple[float, float]], quantile: float) -> float | None:
    """Return the quantile in milliseconds, linear within its bucket as Prometheus' histogram_quantile has it."""
    total = buckets[-1][1] if buckets else 0.0
    if not total:
        return None
    rank, below_count, below = quantile * total, 0.0, 0.0
    for limit, count in buckets:
        if count >= rank:
            if limit == float("inf"):
                return below * 1_000
            return (below + (limit - below) * (rank - below_count) / max(count - below_count, 1e-9)) * 1_000
        below_count, below = count, limit
    return below * 1_000

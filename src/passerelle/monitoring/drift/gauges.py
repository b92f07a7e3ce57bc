"""A day's result as figures by name: for a run in MLflow, and as a file that Prometheus' node exporter reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from passerelle.monitoring.drift.drift_result import DriftResult


def figures_of(result: DriftResult) -> dict[str, float]:
    """Return the figures of the window, by names that MLflow takes: `drift/review`, `drift/labels/Voirie`."""
    figures: dict[str, float] = {"drift/alarm": float(result.state == "alarm"), "drift/answers": float(result.answers)}
    for signal in result.signals:
        if signal.against == "month" and signal.value is not None:
            figures[f"drift/{signal.measure}" + (f"/{_metric_name(signal.label)}" if signal.label else "")] = signal.value
    named = {
        "estimated_accuracy": result.estimated_accuracy,
        "sample_accuracy": result.sample_accuracy.value,
        "refused": result.refused.value if result.refused else None,
    }
    return figures | {f"drift/{name}": value for name, value in named.items() if value is not None}


def _metric_name(label: str) -> str:
    """Return the label in the characters that MLflow takes in the name of a metric."""
    return "".join(char if char.isalnum() or char in "_-. " else "_" for char in label)


def prometheus_text(result: DriftResult) -> str:
    """Return the gauges in Prometheus' text format."""
    return generate_latest(_Gauges(result)).decode()


@dataclass(frozen=True)
class _Gauges(Collector):
    result: DriftResult

    def collect(self) -> Iterator[GaugeMetricFamily]:
        result, model = self.result, {"registered_model": self.result.registered_model}
        yield _gauge("alarm", "Whether the day is an alarm.", [(model, float(result.state == "alarm"))])
        yield _gauge("day_seconds", "The day, in seconds since 1970.", [(model, float((result.day.toordinal() - 719_163) * 86_400))])
        yield _gauge("answers", "Answers of the day.", [(model, float(result.answers))])
        yield _gauge("silent_days", "Days without an answer, up to this one.", [(model, float(result.silent_days))])
        signals = [
            ({**model, "measure": each.measure, "label": each.label or "", "against": each.against}, each) for each in result.signals
        ]
        values = [(labels, each.value) for labels, each in signals if each.value is not None]
        references = [(labels, each.reference) for labels, each in signals if each.reference is not None]
        alarms = [(labels, float(each.alarm)) for labels, each in signals]
        yield _gauge("value", "A figure of the window; length in words, latency in milliseconds, all others as shares.", values)
        yield _gauge("reference", "What it is compared with.", references)
        yield _gauge("signal_alarm", "Whether the difference is an alarm.", alarms)


def _gauge(name: str, meaning: str, samples: Sequence[tuple[dict[str, str], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"passerelle_drift_{name}", meaning)
    for labels, value in samples:
        family.add_sample(family.name, labels, value)
    return family

"""A day's result as figures by name: for a run in MLflow, and as a file that Prometheus' node exporter reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from passerelle.monitoring.drift.drift_result import DriftResult

_GAUGE = "passerelle_drift"


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
    model = {"registered_model": result.registered_model}
    lines = [
        *_gauge("alarm", "Whether the day is an alarm.", [(model, float(result.state == "alarm"))]),
        *_gauge("day_seconds", "The day, in seconds since 1970.", [(model, float((result.day.toordinal() - 719_163) * 86_400))]),
        *_gauge("answers", "Answers of the day.", [(model, float(result.answers))]),
        *_gauge("silent_days", "Days without an answer, up to this one.", [(model, float(result.silent_days))]),
    ]
    signals = [({**model, "measure": each.measure, "label": each.label or "", "against": each.against}, each) for each in result.signals]
    values = [(labels, each.value) for labels, each in signals if each.value is not None]
    references = [(labels, each.reference) for labels, each in signals if each.reference is not None]
    alarms = [(labels, float(each.alarm)) for labels, each in signals]
    lines += _gauge("value", "A figure of the window; length in words, latency in milliseconds, all others as shares.", values)
    lines += _gauge("reference", "What it is compared with.", references)
    lines += _gauge("signal_alarm", "Whether the difference is an alarm.", alarms)
    return "\n".join(lines) + "\n"


def _gauge(name: str, meaning: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    yield f"# HELP {_GAUGE}_{name} {meaning}"
    yield f"# TYPE {_GAUGE}_{name} gauge"
    for labels, value in samples:
        listed = ",".join(f'{key}="{_escaped(each)}"' for key, each in labels.items())
        yield f"{_GAUGE}_{name}{{{listed}}} {value:.10g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""A day's result as lines and rows in English, for the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from passerelle.monitoring.drift.drift_page import pairs
from passerelle.monitoring.drift.drift_result import DriftResult, SharedAnswers
from passerelle.monitoring.drift.drift_text import MEASURE_NAMES, TEXTS, reasons
from passerelle.monitoring.drift.numbers_shown import figure, number, percentage


@dataclass(frozen=True)
class DriftRows:
    """What is printed.

    Attributes:
        table: Figure, this window, month before, held-out rows, verdict.
        unknown: What is not known, and why.
    """

    lines: tuple[str, ...]
    table: tuple[tuple[str, str, str, str, str], ...]
    unknown: tuple[str, ...]


def rows_of(result: DriftResult) -> DriftRows:
    """Return the result as it is printed."""
    texts, names = TEXTS["en"], MEASURE_NAMES["en"]
    window = f", {number(result.window_answers, 'en')} in {result.window} days" if result.window else ""
    lines = [
        f"{result.registered_model}, {result.day}: {texts[result.state].lower()}",
        *(f"  {reason}" for reason in reasons(result, "en")),
        f"answers: {number(result.answers, 'en')} on that day{window}",
        f"estimated accuracy: {percentage(result.estimated_accuracy, 'en')}"
        f" (calibration error: {percentage(result.calibration_error, 'en')})",
        f"accuracy on the daily random sample: {_share(result.sample_accuracy)}",
        f"corrected by people, who correct what they disagree with: {_share(result.corrected)}",
    ]
    if result.refused is not None and result.refused.of:
        lines.append(f"refused or failed requests since the service started: {_share(result.refused)}")
    table = []
    for pair in [*pairs(result.signals, labels=False), *pairs(result.signals, labels=True)]:
        if pair.value is not None:
            references = [figure(pair.measure, each.reference if each else None, "en") for each in (pair.month, pair.training)]
            name = pair.label or names[pair.measure]
            table.append((name, figure(pair.measure, pair.value, "en"), references[0], references[1], pair.verdict))
    return DriftRows(tuple(lines), tuple(table), tuple(texts[f"unknown_{name}"] for name in result.unknown))


def _share(found: SharedAnswers) -> str:
    if found.value is None:
        return "—"
    interval = f"{percentage(found.low, 'en')} to {percentage(found.high, 'en')}"
    return f"{percentage(found.value, 'en')} ({number(found.count, 'en')} of {number(found.of, 'en')}; {interval})"

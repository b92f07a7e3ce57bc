"""From the days of the log to the result of the last of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from passerelle.criteria import Criteria
from passerelle.monitoring.drift.day_counts import DayCounts, Sums, series_of
from passerelle.monitoring.drift.drift_result import DayPoint, DriftResult, SharedAnswers, Signal, State
from passerelle.monitoring.drift.new_words import new_words, texts_with
from passerelle.monitoring.drift.rules import LABELS, LOGARITHMS, MEASURES, Judged, Measure, Reference, judged_month, judged_rows
from passerelle.monitoring.drift.training_rows import TrainingRows
from passerelle.monitoring.drift.windows import MEMORY_WEEKS, MONTH, WINDOWS, Floats
from passerelle.monitoring.live_comparison import wilson

#: Days before the one that is looked at that its result depends on, with the days in a row that the criteria may ask for.
HISTORY: Final = max(WINDOWS) + MONTH + 7 * MEMORY_WEEKS + 7
_CHART_DAYS: Final = 35


@dataclass(frozen=True)
class _Days:
    """What the result is made from: `HISTORY` days, the last of which is looked at."""

    days: Sequence[DayCounts]
    labels: Sequence[str]
    training: TrainingRows | None
    criteria: Criteria

    @property
    def window(self) -> int:
        """Days of the shortest window with enough answers; 0 where there is none."""
        least = self.criteria.drift.min_answers
        return next((size for size in WINDOWS if sum(day.answers for day in self.days[-size:]) >= least), 0)


def drift_result(registered_model: str, days: Sequence[DayCounts], training: TrainingRows | None, criteria: Criteria) -> DriftResult:
    """Return the result of the last day.

    Args:
        days: `HISTORY` days without a gap, in order; a day without answers is an empty one.
        training: How the version did on held-out rows; None where that is not known.
    """
    labels = sorted({label for day in days for label in day.labels} | set(training.labels if training else {}))
    found = _Days(days, labels, training, criteria)
    signals = tuple(_signals(found)) if any(day.answers for day in days) else ()
    today = days[-1]
    window = days[-(found.window or max(WINDOWS)) :]
    silent, silence = _silence(days, criteria.drift.silent_days)
    return DriftResult(
        registered_model=registered_model,
        day=today.day,
        state=_state(today, found.window, silence=silence, alarm=any(signal.alarm for signal in signals)),
        answers=today.answers,
        window=found.window,
        window_answers=sum(day.answers for day in window),
        least=criteria.drift.min_answers,
        silent_days=silent,
        silence=silence,
        versions=_versions(window),
        new_version_since=_new_version(days, len(window)),
        signals=signals,
        estimated_accuracy=_summed(window, "confidence").mean,
        calibration_error=training.calibration_error if training else None,
        training_version=training.version if training else None,
        sample_accuracy=_share(_summed(days[-max(WINDOWS) :], "accuracy")),
        corrected=_share(_summed(window, "corrections")),
        most_repeated=max(day.most_repeated for day in window),
        latency_ms=today.latency_ms,
        words=new_words(texts_with(window), texts_with(days[-len(window) - MONTH : -len(window)])),
        texts=sum(day.texts for day in window),
        unknown=tuple(_unknown(found, window, signals)),
        criteria_digest=criteria.digest,
        points=tuple(_points(days[-_CHART_DAYS:])),
    )


def _silence(days: Sequence[DayCounts], limit: int) -> tuple[int, bool]:
    """Return the days without an answer up to the last, and whether they are as many as an alarm takes."""
    silent = next((number for number, day in enumerate(reversed(days)) if day.answers), len(days))
    # A log without any answer is that of a service that nobody uses yet.
    return silent, limit <= silent < len(days)


def _state(today: DayCounts, window: int, *, silence: bool, alarm: bool) -> State:
    if silence or alarm:
        return "alarm"
    if not today.answers:
        return "no_answers"
    return "quiet" if window else "too_few"


def _signals(found: _Days) -> Iterator[Signal]:
    series, limits = series_of(found.days, found.labels), found.criteria.drift
    for measure in (LABELS, *MEASURES):
        yield from _each(found, measure, judged_month(measure, series[measure], limits), "month")
        rows = found.training.rows_of(measure, found.labels) if found.training else None
        if rows is not None:
            judged = judged_rows(measure, series[measure], limits, rows)
            # Accuracy on held-out rows is what was promised at promotion; the other differences may be only the training's own.
            alarm = judged.alarm if limits.training or measure == "accuracy" else np.zeros_like(judged.alarm)
            yield from _each(found, measure, judged._replace(alarm=alarm), "training")


def _each(found: _Days, measure: Measure, judged: Judged, against: Reference) -> Iterator[Signal]:
    compared, labels = judged.compared, found.labels if measure == LABELS else [None]
    for place, label in enumerate(labels):
        at = (place, -1) if measure == LABELS else (-1,)
        yield Signal(
            measure=measure,
            label=label,
            against=against,
            records=int(compared.records[at]),
            value=_value(measure, compared.value, at),
            reference=_value(measure, compared.reference, at),
            p_value=_number(compared.p_value, at),
            counts=bool(judged.counts[at]),
            alarm=bool(judged.alarm[at]),
        )


def _number(values: Floats, at: tuple[int, ...]) -> float | None:
    value = float(values[at])
    return None if math.isnan(value) else value


def _value(measure: Measure, values: Floats, at: tuple[int, ...]) -> float | None:
    value = _number(values, at)
    return value if value is None else shown_value(measure, value)


def shown_value(measure: Measure, value: float) -> float:
    """Return a figure as it is shown: words and milliseconds in place of their logarithms."""
    if measure == "length":
        return math.expm1(value)
    return math.exp(value) if measure in LOGARITHMS else value


def _summed(days: Sequence[DayCounts], measure: Measure) -> Sums:
    total = Sums()
    for day in days:
        total = total.plus(*day.sums.get(measure, Sums()))
    return total


def _share(sums: Sums) -> SharedAnswers:
    interval = wilson(int(sums.total), sums.records)
    return SharedAnswers(interval.count, interval.of, interval.value, interval.low, interval.high)


def _versions(days: Sequence[DayCounts]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for day in days:
        for version, answers in day.versions.items():
            found[version] = found.get(version, 0) + answers
    return dict(sorted(found.items()))


def _new_version(days: Sequence[DayCounts], window: int) -> date | None:
    """Return since when another version than before answers, if that is in the window or in the month before it."""
    seen: set[str] = set()
    since = None
    for day in days[-window - MONTH :]:
        if seen and set(day.versions) - seen:
            since = day.day
        seen |= set(day.versions)
    return since


def _unknown(found: _Days, window: Sequence[DayCounts], signals: Sequence[Signal]) -> Iterator[str]:
    if not any(day.answers for day in window):
        return
    if found.training is None:
        yield "held_out"
    if found.window and not any(signal.against == "month" and signal.p_value is not None for signal in signals):
        yield "month"
    lacking: tuple[tuple[str, Measure], ...] = (
        ("probabilities", "confidence"), ("ngrams", "unknown_ngrams"), ("digests", "duplicates"), ("texts", "other_language"),
        ("sample", "accuracy"),
    )  # fmt: skip
    # The log has the empty label for answers without one.
    of_labels = {"probabilities", "sample"} if {label for day in window for label in day.labels} == {""} else set()
    if of_labels:
        yield "task"
    yield from (name for name, measure in lacking if name not in of_labels and not _summed(window, measure).records)


def _points(days: Sequence[DayCounts]) -> Iterator[DayPoint]:
    for day in days:
        means = {name: sums.mean for name, sums in day.sums.items()}
        figures = {name: round(shown_value(name, mean), 5) for name, mean in means.items() if mean is not None}
        yield DayPoint(day.day, day.answers, figures, day.labels, day.latency_ms)

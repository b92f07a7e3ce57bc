"""The drift report: one page that loads nothing from other hosts, and holds no text of a citizen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from passerelle.monitoring.drift.drift_result import DayPoint, DriftResult, Signal
from passerelle.monitoring.drift.drift_text import MEASURE_NAMES, TEXTS, reasons
from passerelle.monitoring.drift.numbers_shown import Language, calendar_day, figure, number, percentage, probability
from passerelle.monitoring.drift.rules import LABELS, MEASURES, Measure

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 320.0, 130.0, 6.0, 22.0, 112.0
#: More labels would make the page larger than 100 kB.
_MOST_LABELS: Final = 40
_CHARTS: Final[tuple[Measure, ...]] = ("review", "confidence", "unknown_ngrams", "length", "duplicates", "other_language", "corrections")


class Pair(NamedTuple):
    """A figure's signals; None where it is not compared with the one."""

    measure: Measure
    label: str | None
    month: Signal | None
    training: Signal | None

    @property
    def both(self) -> tuple[Signal, ...]:
        """The signals that there are."""
        return tuple(each for each in (self.month, self.training) if each is not None)

    @property
    def value(self) -> float | None:
        """Of the window."""
        return next((each.value for each in self.both), None)

    @property
    def records(self) -> int:
        """Of the window."""
        return max((each.records for each in self.both), default=0)

    @property
    def verdict(self) -> str:
        """`alarm`, `counts`, `quiet`, or `unknown` where it is compared with nothing."""
        if any(each.alarm for each in self.both):
            return "alarm"
        if any(each.counts for each in self.both):
            return "counts"
        return "quiet" if any(each.p_value is not None for each in self.both) else "unknown"


class Chart(NamedTuple):
    """A line over the days.

    Attributes:
        points: Of each stretch of days with the figure, as SVG writes them.
        shade: Where the window begins, and its width.
        lowest: Of the axis, as text.
        highest: Likewise.
        last: The last value, as text.
    """

    name: str
    points: tuple[str, ...]
    shade: tuple[float, float]
    lowest: str
    highest: str
    last: str


def html(result: DriftResult, *, language: Language = "fr") -> str:
    """Return the page."""
    templates = Environment(
        loader=PackageLoader("passerelle.monitoring.drift", "."),
        autoescape=select_autoescape(["html.j2"], default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["number"] = partial(number, language=language)
    templates.filters["percentage"] = partial(percentage, language=language)
    templates.filters["p"] = partial(probability, language=language)
    templates.filters["day"] = partial(calendar_day, language=language)
    templates.filters["figure"] = lambda value, measure: figure(measure, value, language)
    return templates.get_template("drift_page.html.j2").render(_content(result, language))


def _content(result: DriftResult, language: Language) -> dict[str, object]:
    every = sorted(pairs(result.signals, labels=True), key=lambda pair: -(pair.value or 0.0))
    # An alarm is shown however rare the label is.
    urgent = sorted(every, key=lambda pair: pair.verdict not in ("alarm", "counts"))[:_MOST_LABELS]
    labels = [pair for pair in every if pair in urgent]
    return {
        "result": result,
        "texts": TEXTS[language],
        "names": MEASURE_NAMES[language],
        "language": language,
        "reasons": reasons(result, language),
        "figures": [pair for pair in pairs(result.signals, labels=False) if pair.value is not None],
        "labels": labels,
        "left_out": len(every) - len(labels),
        "widest": max([0.01, *(value for pair in labels for value in (pair.value, *(each.reference for each in pair.both)) if value)]),
        "charts": charts(result, language),
        "columns": [name for name in _CHARTS if any(name in point.figures for point in result.points)],
    }


def pairs(signals: Sequence[Signal], *, labels: bool) -> list[Pair]:
    """Return each figure, or each label, with what it is compared with."""
    chosen = [each for each in signals if (each.measure == LABELS) == labels]
    keys = dict.fromkeys((each.measure, each.label) for each in chosen)
    found = {(each.measure, each.label, each.against): each for each in chosen}
    return [Pair(*key, found.get((*key, "month")), found.get((*key, "training"))) for key in keys]


def charts(result: DriftResult, language: Language) -> list[Chart]:
    """Return the charts of what is known: answers, each figure by day, and the latency."""
    texts, names, points = TEXTS[language], MEASURE_NAMES[language], result.points
    if not points:
        return []
    found = [_chart(result, texts["answers"], [point.answers for point in points], partial(number, language=language))]
    for name in (each for each in MEASURES if each in _CHARTS):
        values = [point.figures.get(name) for point in points]
        if any(value is not None for value in values):
            found.append(_chart(result, names[name], values, partial(figure, name, language=language)))
    slowest = [point.latency_ms[1] if point.latency_ms else None for point in points]
    if any(slowest):
        found.append(_chart(result, texts["latency_p95"], slowest, partial(figure, "latency", language=language)))
    return found


def _chart(result: DriftResult, name: str, values: Sequence[float | None], text_of: Callable[[float | None], str]) -> Chart:
    days: Sequence[DayPoint] = result.points
    known = [value for value in values if value is not None]
    low, high = min(0.0, *known), max(known)
    # Shares and means that hardly move would be a line at the top: the axis begins below the lowest instead.
    if low >= 0 and min(known) > high / 2:
        low = max(0.0, min(known) - (high - min(known) or high * 0.1))
    step = (_WIDTH - 2 * _LEFT) / max(len(days) - 1, 1)
    stretches: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            stretches.append([])
            continue
        up = (value - low) / ((high - low) or 1.0)
        stretches[-1].append(f"{_LEFT + place * step:.1f},{_BOTTOM - up * (_BOTTOM - _TOP):.1f}")
    begin = _LEFT + (len(days) - (result.window or len(days)) - 0.5) * step
    shade = (max(begin, 0.0), _WIDTH - max(begin, 0.0))
    texts = [text_of(value) for value in (low, high, values[-1])]
    return Chart(name, tuple(" ".join(each) for each in stretches if each), shade, *texts)

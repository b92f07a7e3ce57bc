"""What is found about a day: each comparison with its verdict, and the figures that a person reads beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from passerelle.monitoring.drift.new_words import NewWord
from passerelle.monitoring.drift.rules import Measure, Reference

State = Literal["alarm", "quiet", "too_few", "no_answers"]


@dataclass(frozen=True)
class Signal:
    """One figure of the window next to one reference.

    Attributes:
        label: Which label's share it is; None for other figures.
        records: Of the window that have the figure.
        value: Of the window: a share, a mean probability, words or milliseconds (geometric means); None where it is not known.
        reference: Likewise, of the month before or of the training.
        p_value: Chance of such a difference without drift; for labels, adjusted for all of them.
        counts: Whether it is beyond chance and large enough on this day.
        alarm: Whether it is on as many days in a row as the criteria say.
    """

    measure: Measure
    label: str | None
    against: Reference
    records: int
    value: float | None
    reference: float | None
    p_value: float | None
    counts: bool
    alarm: bool


@dataclass(frozen=True)
class SharedAnswers:
    """A share of answers with Wilson's interval; None without any."""

    count: int
    of: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class DayPoint:
    """A day of the charts.

    Attributes:
        figures: Mean of each figure; those without records are left out.
        labels: Answers by label.
    """

    day: date
    answers: int
    figures: Mapping[Measure, float]
    labels: Mapping[str, int]
    latency_ms: tuple[float, float] | None


@dataclass(frozen=True)
class DriftResult:
    """A day's result.

    Attributes:
        day: The last of the window.
        answers: Of that day.
        window: Days of the window: a week, or two or four where a week has too few answers; 0 where four have too few.
        window_answers: Answers in the window, or in four weeks where those are too few.
        least: Answers that a window needs.
        silent_days: Days without an answer, up to this one.
        silence: Whether they are as many as the criteria call an alarm.
        versions: Answers of the window by model version.
        new_version_since: The first day of a version that has not answered for as long as the month before began; None where it has.
        estimated_accuracy: Mean probability of the answers; right on average only as far as the model is calibrated.
        calibration_error: On the held-out rows.
        sample_accuracy: On labelled answers of the daily random sample.
        corrected: Answers that somebody corrected; people correct what they disagree with, so it says little of the others.
        most_repeated: Answers to one record within a day of the window.
        words: That came up.
        texts: Of the window that were looked at for words.
        unknown: What is not known, and why: `held_out`, `task`, `probabilities`, `texts`, `digests`, `sample`, `month`, `ngrams`.
        refused: Share of the requests that the service refused or failed since it started; None where no service was reached.
        points: The days of the charts.
    """

    registered_model: str
    day: date
    state: State
    answers: int
    window: int
    window_answers: int
    least: int
    silent_days: int
    silence: bool
    versions: Mapping[str, int]
    new_version_since: date | None
    signals: tuple[Signal, ...]
    estimated_accuracy: float | None
    calibration_error: float | None
    training_version: int | None
    sample_accuracy: SharedAnswers
    corrected: SharedAnswers
    most_repeated: int
    latency_ms: tuple[float, float] | None
    words: tuple[NewWord, ...]
    texts: int
    unknown: tuple[str, ...]
    criteria_digest: str
    refused: SharedAnswers | None = None
    points: tuple[DayPoint, ...] = ()

    @property
    def alarms(self) -> tuple[Signal, ...]:
        """The comparisons that are an alarm."""
        return tuple(signal for signal in self.signals if signal.alarm)

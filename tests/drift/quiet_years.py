"""Quiet days of a service: weekdays, a mild season, weeks that differ, small campaigns, and no drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerelle.monitoring.drift.rules import LABELS, MEASURES, Measure
from passerelle.monitoring.drift.windows import Floats, Rows, Series

#: Eleven labels, as many as the demo has with more than a few rows.
SHARES = np.array([0.22, 0.16, 0.13, 0.11, 0.09, 0.08, 0.07, 0.05, 0.04, 0.03, 0.02])
#: Of a day, from Monday.
VOLUMES = np.array([1.25, 1.2, 1.1, 1.1, 1.05, 0.7, 0.6])
HELD_OUT_ROWS = 400
SAMPLE = 20
#: Mean of each figure and, for those that are no shares of answers, its deviation between records.
USUAL: Mapping[Measure, tuple[float, float | None]] = {
    "review": (0.14, None), "confidence": (0.72, 0.2), "unknown_ngrams": (0.15, 0.12), "length": (3.0, 0.8), "duplicates": (0.02, None),
    "other_language": (0.015, None), "corrections": (0.02, None), "accuracy": (0.82, None), "latency": (1.4, 0.4),
}  # fmt: skip
#: Deviation between days and between weeks: of the logarithm of the odds for a share, else of the mean.
NOISE: Mapping[Measure, tuple[float, float]] = {
    "review": (0.08, 0.06), "confidence": (0.006, 0.006), "unknown_ngrams": (0.008, 0.006), "length": (0.04, 0.03),
    "duplicates": (0.3, 0.2), "other_language": (0.1, 0.1), "corrections": (0.1, 0.1), "accuracy": (0.05, 0.03), "latency": (0.1, 0.05),
}  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What holds on each day of each simulated service, before answers are drawn.

    Attributes:
        answers: Shape (services, days).
        shares: Of the labels, shape (services, labels, days).
        means: Of each figure, shape (services, days).
    """

    answers: Any
    shares: Floats
    means: Mapping[Measure, Floats]

    def replaced(self, name: Measure, means: Floats) -> Truth:
        """Return the same days with other means of a figure."""
        return replace(self, means={**self.means, name: means})


def weekly_noise(rng: np.random.Generator, shape: tuple[int, ...], days: int, deviation: float) -> Floats:
    """Return noise that lasts for days: autoregressive, 0.8 from one day to the next."""
    steps = rng.normal(0.0, deviation * np.sqrt(1 - 0.8**2), (*shape, days))
    steps[..., 0] /= np.sqrt(1 - 0.8**2)
    for day in range(1, days):
        steps[..., day] += 0.8 * steps[..., day - 1]
    return steps


def quiet(rng: np.random.Generator, services: int, days: int, volume: float) -> Truth:
    """Return quiet days of services with so many answers a day."""
    day = np.arange(days)
    answers = rng.poisson(volume * VOLUMES[day % 7] * np.exp(rng.normal(0.0, 0.1, (services, days))))
    labels = len(SHARES)
    weekday = rng.normal(0.0, 0.15, (services, labels, 7))[..., day % 7]
    season = 0.12 * np.sin(2 * np.pi * (day / 365 + rng.random((services, labels, 1))))
    noise = weekly_noise(rng, (services, labels), days, 0.08) + rng.normal(0.0, 0.08, (services, labels, days))
    shares = SHARES[:, None] * np.exp(weekday + season + noise)
    means: dict[Measure, Floats] = {}
    for name in MEASURES:
        (mean, deviation), (daily, weekly) = USUAL[name], NOISE[name]
        moved = rng.normal(0.0, daily, (services, days)) + weekly_noise(rng, (services,), days, weekly)
        moved += rng.normal(0.0, daily, (services, 7))[:, day % 7]
        if name == "duplicates":
            # Small campaigns, of a day, every three weeks.
            moved += np.log(2.5) * (rng.random((services, days)) < 1 / 21)
        means[name] = mean + moved if deviation else 1 / (1 + np.exp(-np.log(mean / (1 - mean)) - moved))
    return Truth(answers, shares / shares.sum(axis=1, keepdims=True), means)


def drawn_series(rng: np.random.Generator, truth: Truth) -> dict[Measure, Series]:
    """Return what the log of these days adds up to."""
    answers = truth.answers
    counts = np.moveaxis(rng.multinomial(answers, np.moveaxis(truth.shares, 1, -1)), -1, 1).astype(np.float64)
    found: dict[Measure, Series] = {LABELS: Series(np.broadcast_to(answers[:, None, :], counts.shape).astype(np.float64), counts, counts)}
    for name, mean in truth.means.items():
        deviation = USUAL[name][1]
        records = np.minimum(answers, SAMPLE) if name == "accuracy" else answers
        if deviation is None:
            total = rng.binomial(records, mean).astype(np.float64)
            found[name] = Series(records.astype(np.float64), total, total)
        else:
            total = rng.normal(mean * records, deviation * np.sqrt(records))
            found[name] = Series(records.astype(np.float64), total, records * deviation**2 + total**2 / np.maximum(records, 1))
    return found


def held_out_rows(rng: np.random.Generator, services: int) -> dict[Measure, Rows]:
    """Return the figures of the held-out rows of each service."""
    size = HELD_OUT_ROWS
    shares = rng.multinomial(size, SHARES / SHARES.sum(), services) / size
    found: dict[Measure, Rows] = {LABELS: Rows(np.full_like(shares, size), shares, shares * (1 - shares))}
    for name in ("confidence", "length", "accuracy", "review"):
        mean, deviation = USUAL[name]
        if deviation is None:
            share = rng.binomial(size, mean, services) / size
            found[name] = Rows(np.full(services, float(size)), share, share * (1 - share))
        else:
            means = rng.normal(mean, deviation / np.sqrt(size), services)
            found[name] = Rows(np.full(services, float(size)), means, np.full(services, deviation**2))
    return found

"""How often quiet days raise an alarm, and after how many days ten planted drifts do: `python -m tests.drift.simulation`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import numpy as np

from passerelle.criteria import Drift
from passerelle.monitoring.drift.rules import LABELS, Measure, judged_month, judged_rows
from passerelle.monitoring.drift.windows import Floats, Rows, Series, Truths
from tests.drift.quiet_years import Truth, drawn_series, held_out_rows, quiet

Plant = Callable[[Truth, Truths], Truth]
LIMITS = Drift()
VOLUMES = (50, 100, 200, 500, 1_000)
#: History before the first day that is judged.
BEFORE = 60


def alarms(series: Mapping[Measure, Series], rows: Mapping[Measure, Rows]) -> dict[str, Truths]:
    """Return for each figure and reference the days with an alarm, shape (services, days)."""
    found = {f"{name}, month": judged_month(name, each, LIMITS).alarm for name, each in series.items()}
    found |= {f"{name}, training": judged_rows(name, series[name], LIMITS, each).alarm for name, each in rows.items()}
    return {name: np.any(alarm, axis=1) if name.startswith(LABELS) else alarm for name, alarm in found.items()}


def quiet_alarms(volume: float, years: int, seed: int = 0) -> dict[str, float]:
    """Return the share of quiet days with an alarm, by figure and `all` together."""
    rng = np.random.default_rng(seed)
    truth = quiet(rng, years, 365 + BEFORE, volume)
    found = alarms(drawn_series(rng, truth), held_out_rows(rng, years))
    shares = {name: float(alarm[:, BEFORE:].mean()) for name, alarm in found.items()}
    return shares | {"all": float(np.any(list(found.values()), axis=0)[:, BEFORE:].mean())}


#: Day on which a planted drift begins, and days after which it counts as missed.
BEGINS, LAST_DAY = BEFORE + 40, 28
NOT_NOTICED = float("inf")


def _moved(name: Measure, by: float) -> Plant:
    def plant(truth: Truth, after: Truths) -> Truth:
        return truth.replaced(name, truth.means[name] + by * after)

    return plant


def _class_doubled(truth: Truth, after: Truths) -> Truth:
    return _with_odds(truth, label=3, factor=2.2, after=after)


def _label_vanished(truth: Truth, after: Truths) -> Truth:
    return _with_odds(truth, label=5, factor=0.0, after=after)


def _new_topic(truth: Truth, after: Truths) -> Truth:
    """Plant a fifth of the answers about something that the training did not know: half of its n-grams are unknown, and it looks unsure."""
    moved = truth.replaced("unknown_ngrams", truth.means["unknown_ngrams"] + 0.2 * 0.35 * after)
    return moved.replaced("confidence", truth.means["confidence"] - 0.2 * 0.2 * after)


def _campaign(truth: Truth, after: Truths) -> Truth:
    """Plant one answer in eight to the same text, with the same label."""
    share = truth.means["duplicates"] + 0.12 * after
    return _with_odds(truth, label=4, factor=2.3, after=after).replaced("duplicates", share)


def _with_odds(truth: Truth, label: int, factor: float, after: Truths) -> Truth:
    shares = truth.shares.copy()
    shares[:, label] *= np.where(after, factor, 1.0)
    return Truth(truth.answers, shares / shares.sum(axis=1, keepdims=True), truth.means)


#: What is planted, and the figure that must show it.
PLANTED: Mapping[str, tuple[Plant, Measure]] = {
    "a label of 11 % doubles": (_class_doubled, LABELS),
    "a label of 8 % vanishes": (_label_vanished, LABELS),
    "a new topic, a fifth of the answers": (_new_topic, "unknown_ngrams"),
    "a campaign, one answer in eight": (_campaign, "duplicates"),
    "confidence falls by 8 points": (_moved("confidence", -0.08), "confidence"),
    "another language, 8 points": (_moved("other_language", 0.08), "other_language"),
    "texts are 30 % shorter": (_moved("length", float(np.log(0.7))), "length"),
    "8 points more to review": (_moved("review", 0.08), "review"),
    "latency doubles": (_moved("latency", float(np.log(2.0))), "latency"),
    "accuracy falls by 20 points": (_moved("accuracy", -0.2), "accuracy"),
}


def delays(volume: float, services: int, seed: int = 1) -> dict[str, Floats]:
    """Return for each planted drift the days until it is noticed by its figure, one a service; infinite after four weeks."""
    found = {}
    for place, (name, (plant, measure)) in enumerate(PLANTED.items()):
        rng = np.random.default_rng([seed, place])
        days = BEGINS + LAST_DAY
        truth = plant(quiet(rng, services, days, volume), np.arange(days) >= BEGINS)
        series, rows = drawn_series(rng, truth), held_out_rows(rng, services)
        alarm = np.any([each for key, each in alarms(series, rows).items() if key.startswith(measure)], axis=0)[:, BEGINS:]
        found[name] = np.where(alarm.any(axis=1), alarm.argmax(axis=1) + 1.0, NOT_NOTICED)
    return found


def table(services: int = 200, years: int = 40) -> str:
    """Return both tables in Markdown."""
    volumes = [f"{volume:,}" for volume in VOLUMES]
    quiet_days = [quiet_alarms(volume, years)["all"] for volume in VOLUMES]
    noticed = [delays(volume, services) for volume in VOLUMES]
    head = ["| | " + " | ".join(volumes) + " |", "|---|" + "--:|" * len(VOLUMES)]
    rates = [f"1 in {1 / share:,.0f}" if share else f"none in {years * 365:,}" for share in quiet_days]
    lines = [*head, "| quiet days with an alarm | " + " | ".join(rates) + " |", ""]
    lines += [*head, *(f"| {name} | " + " | ".join(_cell(each[name]) for each in noticed) + " |" for name in PLANTED)]
    return "\n".join(lines)


def _cell(found: Floats) -> str:
    """Return the median and the ninth decile, or the share that is noticed at all where that is less than nine in ten."""
    if np.mean(np.isfinite(found)) < 0.9:
        return f"{np.mean(np.isfinite(found)):.0%} noticed"
    return f"{np.median(found):.0f} (≤ {np.quantile(found, 0.9, method='higher'):.0f})"


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")

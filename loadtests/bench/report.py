"""The bench's table, with the ratios that are asked of it, and its plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.bench.load import Round
from loadtests.bench.servers import CEILING, OURS, PYFUNC


@dataclass(frozen=True)
class Measured:
    """All that one bench measured.

    Attributes:
        rounds: By server and number of connections.
        batch_seconds: Of a batch request of 1,000 texts, and of scikit-learn on the same texts in process.
        start_seconds: From `bentoml serve` to ready, median.
        memory_mib: By server: resident memory of its processes summed, and with shared pages counted once.
    """

    rounds: Mapping[str, Mapping[int, Round]]
    batch_seconds: tuple[float, float] | None
    start_seconds: float | None
    memory_mib: Mapping[str, tuple[float, float]]
    machine: Mapping[str, str | int]
    date: str


@dataclass(frozen=True)
class Goal:
    """One goal and what was measured of it."""

    what: str
    wanted: str
    found: str
    reached: bool


def goals(measured: Measured) -> list[Goal]:
    """Return the goals that can be told from what was measured."""
    found: list[Goal] = []
    rounds = measured.rounds
    ours = rounds.get(OURS)
    if ours and PYFUNC in rounds:
        theirs = rounds[PYFUNC]
        found.append(
            _at_least("32 connections, requests/s next to FastAPI + pyfunc", ours[32].requests_per_s / theirs[32].requests_per_s, 15)
        )
        found.append(_at_least("32 connections, p99: FastAPI + pyfunc's next to ours", theirs[32].p99_ms / ours[32].p99_ms, 15))
        found.append(_at_least("1 connection, p50: FastAPI + pyfunc's next to ours", theirs[1].p50_ms / ours[1].p50_ms, 8))
    if ours and CEILING in rounds:
        share = ours[32].requests_per_s / rounds[CEILING][32].requests_per_s
        found.append(Goal("32 connections, requests/s next to FastAPI without a model", "≥ 45 %", f"{share:.0%}", share >= 0.45))  # noqa: PLR2004
    if measured.batch_seconds:
        mine, sklearn = measured.batch_seconds
        found.append(_at_least("1,000 texts in one request, rate next to `predict_proba` in process", sklearn / mine, 3))
    if measured.start_seconds is not None:
        found.append(_at_most("`bentoml serve` to ready", measured.start_seconds, 3, "s"))
    if OURS in measured.memory_mib:
        found.append(_at_most("resident with one worker", measured.memory_mib[OURS][0], 250, "MiB"))
    return found


def _at_least(what: str, ratio: float, wanted: float) -> Goal:
    return Goal(what, f"≥ {wanted:g} ×", f"{ratio:.1f} ×", ratio >= wanted)


def _at_most(what: str, value: float, limit: float, unit: str) -> Goal:
    return Goal(what, f"≤ {limit:g} {unit}", f"{value:.1f} {unit}", value <= limit)


def table(measured: Measured) -> str:
    """Return the report in Markdown."""
    ours = measured.rounds.get(OURS)
    lines = [f"# /classify next to its peers, {measured.date}", ""]
    lines += ["| server | 1 connection, p50 | requests/s | 32 connections, requests/s | p50 | p99 | ours is | resident |"]
    lines += ["|---|--:|--:|--:|--:|--:|--:|--:|"]
    for name, by in measured.rounds.items():
        one, many = by[1], by[32]
        ratio = f"{ours[32].requests_per_s / many.requests_per_s:.1f} ×" if ours else ""
        resident = f"{measured.memory_mib[name][0]:.0f} MiB" if name in measured.memory_mib else ""
        lines.append(
            f"| {name} | {one.p50_ms:.2f} ms | {one.requests_per_s:,.0f} | {many.requests_per_s:,.0f} | {many.p50_ms:.1f} ms "
            f"| {many.p99_ms:.1f} ms | {ratio} | {resident} |"
        )
    lines += ["", "| goal | wanted | measured | |", "|---|---|--:|---|"]
    lines += [
        f"| {goal.what} | {goal.wanted} | {goal.found} | {'reached' if goal.reached else '**not reached**'} |" for goal in goals(measured)
    ]
    if measured.batch_seconds:
        mine, sklearn = measured.batch_seconds
        lines += ["", f"A batch request of 1,000 texts took {mine * 1e3:.0f} ms, scikit-learn in process {sklearn * 1e3:.0f} ms (medians)."]
    errors = {name: sum(each.errors for each in by.values()) for name, by in measured.rounds.items()}
    lines += ["", "Errors: " + (", ".join(f"{name} {count:.0f}" for name, count in errors.items() if count) or "none") + "."]
    lines += ["", "Measured on: " + ", ".join(f"{key} {value}" for key, value in measured.machine.items()) + "."]
    return "\n".join(lines) + "\n"


def write(measured: Measured, folder: Path) -> Path:
    """Write table, figures and plot, and return the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"bench-{measured.date.replace(':', '')}.md"
    path.write_text(table(measured), encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(asdict(measured), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plot(measured, path.with_suffix(".svg"))
    return path


def plot(measured: Measured, path: Path) -> None:
    """Draw requests a second and p99 at 32 connections, both on logarithmic axes."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    names: Sequence[str] = list(measured.rounds)[::-1]
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.6 * len(names) + 1.4), sharey=True)
    for axis, title, values in (
        (axes[0], "requests/s, 32 connections", [measured.rounds[name][32].requests_per_s for name in names]),
        (axes[1], "p99 in ms, 32 connections", [measured.rounds[name][32].p99_ms for name in names]),
    ):
        bars = axis.barh(names, values, color=["#1a5fb4" if name == OURS else "#b0b7c3" for name in names])
        axis.bar_label(bars, fmt="{:,.0f}", padding=4)
        axis.set_xscale("log")
        axis.set_title(title)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)

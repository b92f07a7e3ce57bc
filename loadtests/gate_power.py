"""How often the gate lets a challenger pass next to a champion, by how good it truly is, by rows and by looks: `make gate-power`.

Outcomes are made up: the true difference of macro-F1 over all records is set, the rows are drawn. Both models give different labels to 12
to 16 % of the rows; on one in seven of those neither is right. A few rows have near-duplicates, which get the same labels. What decides is
the gate's own code: `paired_difference`, `level_of_look` and `DifferenceInterval.compared`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from passerelle.criteria import Champion
from passerelle.gate.interval import DifferenceInterval
from passerelle.gate.paired import paired_difference
from passerelle.gate.scores import macro_f1
from passerelle.gate.spending import level_of_look

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
#: Shares of the classes.
EVEN: tuple[float, ...] = (0.24, 0.22, 0.20, 0.18, 0.16)
UNEVEN: tuple[float, ...] = (0.25, 0.18, 0.13, 0.10, 0.08, 0.07, 0.06, 0.05, 0.04, 0.025, 0.015)
#: Rows to which the models give different labels; of these, those on which neither is right.
DISPUTED, NEITHER = (0.12, 0.14, 0.16), 1 / 7
RIGHT = 0.78
#: Rows with a near-duplicate.
REPEATED = 0.02
#: What the issue of a verdict is taken for: the gate's rule, and weaker ones that must show.
Rule = Callable[[DifferenceInterval, Champion], bool]


def by_interval(difference: DifferenceInterval, rule: Champion) -> bool:
    """The gate's own rule, where nobody gives a reason."""
    return difference.compared(rule) == "passed"


@dataclass(frozen=True)
class Population:
    """All records that models may meet.

    Attributes:
        shares: Of the classes.
        disputed: Share of the records to which both models give different labels.
        difference: True difference of macro-F1, challenger less champion.
    """

    shares: tuple[float, ...]
    disputed: float
    difference: float

    def rows(self, number: int, random: np.random.Generator) -> tuple[Codes, Codes, Codes, Codes]:
        """Return right labels, the champion's, the challenger's, and groups of near-duplicates, each of shape (number,)."""
        first = np.flatnonzero(random.random(number) >= REPEATED)
        first = np.unique(np.r_[0, first])
        group = np.searchsorted(first, np.arange(number), side="right") - 1
        truth, old, new = _labels(self.shares, self.disputed, shift_of(self), len(first), random)
        return truth[group], old[group], new[group], group

    def true_difference(self, shift: float) -> float:
        """Return the difference over very many records."""
        truth, old, new = _labels(self.shares, self.disputed, shift, 400_000, np.random.default_rng(0))
        return macro_f1(truth, new, len(self.shares)) - macro_f1(truth, old, len(self.shares))


@cache
def shift_of(of: Population) -> float:
    """Return by how many more records the challenger alone is right than the champion alone, so that macro-F1 differs as it should."""
    shift = of.difference
    for _ in range(4):
        shift += of.difference - of.true_difference(shift)
    return shift


def _labels(shares: Sequence[float], disputed: float, shift: float, number: int, random: np.random.Generator) -> tuple[Codes, Codes, Codes]:
    truth, drawn = random.choice(len(shares), number, p=shares), random.random(number)
    one_right = disputed * (1 - NEITHER)
    only_new, only_old = (one_right + shift) / 2, (one_right - shift) / 2
    limits = np.cumsum([only_new, only_old, disputed * NEITHER, RIGHT - one_right / 2])
    cases = [drawn < limit for limit in limits]
    wrong = [_another(truth, shares, random)]
    wrong.append(_another(truth, shares, random, wrong[0]))
    new = np.select(cases, [truth, wrong[0], wrong[0], truth], wrong[0])
    old = np.select(cases, [wrong[0], truth, wrong[1], truth], wrong[0])
    return truth, old, new


def _another(truth: Codes, shares: Sequence[float], random: np.random.Generator, but: Codes | None = None) -> Codes:
    """Return a wrong label for each record, the more often the larger its class; another one than `but`."""
    found = random.choice(len(shares), len(truth), p=shares)
    while (again := (found == truth) | (found == (but if but is not None else -1))).any():
        found[again] = random.choice(len(shares), int(again.sum()), p=shares)
    return found


def passes(
    of: Population, rows: int, looks: int, rule: Champion, *, draws: int, seed: int = 0, decides: Rule = by_interval, spend: bool = True
) -> Numbers:
    """Return the share of draws in which a challenger has passed at the latest at each look, shape (looks,).

    Each look has a challenger of its own, truly as good as the others, next to the same champion on the same rows.

    Args:
        decides: What is taken for the gate's rule.
        spend: Whether each look gets its part of the level.
    """
    random = np.random.default_rng(seed)
    passed = np.zeros((draws, looks), dtype=bool)
    for draw in range(draws):
        truth, old, new, group = of.rows(rows, random)
        for look in range(looks):
            level = level_of_look(look + 1, rule.level) if spend else level_of_look(1, rule.level)
            passed[draw, look] = decides(paired_difference(truth, old, new, group, rule, level=level), rule)
            new = _other_challenger(of, truth, old, group, random)
    return np.asarray(np.logical_or.accumulate(passed, axis=1).mean(axis=0))


def _other_challenger(of: Population, truth: Codes, old: Codes, group: Codes, random: np.random.Generator) -> Codes:
    """Return the labels of another challenger on the same rows, next to the same champion."""
    one_right, shift = of.disputed * (1 - NEITHER), shift_of(of)
    right = RIGHT - shift / 2
    number = int(group.max()) + 1
    first = np.unique(group, return_index=True)[1]
    drawn, was_right = random.random(number), (truth == old)[first]
    lost = drawn < (one_right - shift) / 2 / right
    won = drawn < (one_right + shift) / 2 / (1 - right)
    moved = ~won & (drawn < ((one_right + shift) / 2 + of.disputed * NEITHER) / (1 - right))
    wrong = _another(truth[first], of.shares, random, old[first])
    labels = np.where(was_right, np.where(lost, wrong, truth[first]), np.where(won, truth[first], np.where(moved, wrong, old[first])))
    return labels[group]


#: The criteria that `passerelle new` writes, and those that the documentation shows.
CRITERIA: Mapping[str, Champion] = {
    "default: margin 0.02": Champion(),
    "margin 0.03": Champion(margin=0.03),
    "superior": Champion(superior=True),
}


def table(draws: int, *, criteria: Mapping[str, Champion], shares: tuple[float, ...]) -> Iterator[str]:
    """Yield the lines of the table of first looks, and of all of twenty, in Markdown."""
    yield f"{len(shares)} classes, shares {min(shares):g} to {max(shares):g}; {draws:,} draws of each, a third with each share in dispute"
    yield ""
    yield "| criteria | truly | " + " | ".join(f"{rows:,} rows" for rows in ROWS) + " |"
    yield "|---|--:|" + "--:|" * len(ROWS)
    for name, rule in criteria.items():
        for truly in TRULY:
            shown = [mean_passes(shares, truly, rows, 1, rule=rule, draws=draws)[0] for rows in ROWS]
            yield f"| {name} | {truly:+.2f} | " + " | ".join(f"{share:.1%}" for share in shown) + " |"


def table_of_looks(draws: int, rule: Champion, shares: tuple[float, ...]) -> Iterator[str]:
    """Yield the lines of the table of looks."""
    yield "| truly | rows | " + " | ".join(f"by look {look}" for look in LOOKS) + " |"
    yield "|--:|--:|" + "--:|" * len(LOOKS)
    for truly, rows in ((-0.02, 131), (-0.02, 500), (-0.02, 2_000), (0.03, 500)):
        shown = mean_passes(shares, truly, rows, max(LOOKS), rule=rule, draws=draws)
        yield f"| {truly:+.2f} | {rows:,} | " + " | ".join(f"{shown[look - 1]:.1%}" for look in LOOKS) + " |"


def mean_passes(shares: tuple[float, ...], truly: float, rows: int, looks: int, *, rule: Champion, draws: int) -> Numbers:
    """Return the mean of `passes` over the shares in dispute."""
    each = [
        passes(Population(shares, disputed, truly), rows, looks, rule, draws=draws // len(DISPUTED), seed=rows + place)
        for place, disputed in enumerate(DISPUTED)
    ]
    return np.asarray(np.mean(each, axis=0))


ROWS = (50, 131, 200, 500, 1_000, 2_000, 5_000)
TRULY = (-0.03, -0.02, 0.0, 0.03)
LOOKS = (1, 2, 5, 10, 20)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=900, help="of each figure; 900 leave an error of 0.7 points at 5 %%")
    draws, start = parser.parse_args().draws, time.process_time()
    quick = {name: rule.model_copy(update={"resamples": 400}) for name, rule in CRITERIA.items()}
    default = {name: rule for name, rule in quick.items() if name.startswith("default")}
    parts = [
        ("Share that passes at the first look", table(draws, criteria=quick, shares=EVEN)),
        ("The same with uneven classes", table(draws, criteria=default, shares=UNEVEN)),
        ("Share that has passed at any look so far, by default", table_of_looks(max(draws // 2, 3), next(iter(default.values())), EVEN)),
    ]
    for title, lines in parts:
        sys.stdout.write(f"\n**{title}**\n\n")
        for line in lines:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{time.process_time() - start:.0f} s of processor time\n")


if __name__ == "__main__":
    main()

"""How often the gate lets a challenger pass next to a champion, by how good it truly is, by rows and by looks: `make gate-power`.

Outcomes are made up: the true difference of macro-F1 over all records is set, the rows are drawn. Both models give different labels to 12
to 16 % of the rows; on one in seven of those neither is right. A few rows have near-duplicates, which get the same labels. What decides is
the gate's own code: `paired_difference`, `level_of_look` and `DifferenceInterval.compared`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from loadtests.outcomes import Codes, Numbers, Population, disputed_groups, macro_f1_differences, rough_errors, rows_of
from passerelle.criteria import Champion
from passerelle.gate.interval import DifferenceInterval
from passerelle.gate.paired import paired_difference
from passerelle.gate.spending import level_of_look

#: Shares of the classes: of similar size, as in the demo, and of very different sizes.
EVEN: tuple[float, ...] = (0.24, 0.22, 0.20, 0.18, 0.16)
DEMO: tuple[float, ...] = (0.167, 0.111, 0.110, 0.097, 0.093, 0.090, 0.082, 0.075, 0.068, 0.055, 0.052)
UNEVEN: tuple[float, ...] = (0.25, 0.18, 0.13, 0.10, 0.08, 0.07, 0.06, 0.05, 0.04, 0.025, 0.015)
#: Rows to which the models give different labels.
DISPUTED = (0.12, 0.14, 0.16)
_AT_ONCE = 250
#: What the issue of a verdict is taken for: the gate's rule, and weaker ones that must show.
Rule = Callable[[DifferenceInterval, Champion], bool]


def by_interval(difference: DifferenceInterval, rule: Champion) -> bool:
    """The gate's own rule, where nobody gives a reason."""
    return difference.compared(rule) == "passed"


def passes(
    of: Population, rows: int, looks: int, rule: Champion, *, draws: int, seed: int = 0, decides: Rule = by_interval, spend: bool = True
) -> Numbers:
    """Return the share of draws in which a challenger has passed at the latest at each look, shape (looks,).

    The gate's own code decides, except where it is plain: with an error that is 0.6 or 1.6 times as large as the rough one.

    Args:
        decides: What is taken for the gate's rule.
        spend: Whether each look gets its part of the level.
    """
    random, passed = np.random.default_rng(seed), []
    for part in _parts(draws):
        found = np.zeros((part, looks), dtype=bool)
        for look, (single, paired) in enumerate(of.looks(rows, looks, part, random)):
            level = level_of_look(look + 1 if spend else 1, rule.level)
            plain = _plainly_passed(single, paired, rule, level) if decides is by_interval else np.full(part, np.nan)
            found[:, look] = plain == 1
            for draw in np.flatnonzero(np.isnan(plain)):
                truth, old, new, groups = rows_of(single[draw], paired[draw])
                found[draw, look] = decides(paired_difference(truth, old, new, groups, rule, level=level), rule)
        passed.append(np.logical_or.accumulate(found, axis=1))
    return np.asarray(np.concatenate(passed).mean(axis=0))


def _plainly_passed(single: Codes, paired: Codes, rule: Champion, level: float) -> Numbers:
    """Return 1 where a draw passes whatever its error is exactly, 0 where it does not, and NaN in between."""
    value, error = macro_f1_differences(single + 2 * paired), rough_errors(single, paired)
    groups = (single + paired).sum(axis=(1, 2, 3))
    reach = student.isf(level, disputed_groups(single, paired) + 2) * np.sqrt(error**2 + 2.0 / groups**2)
    room = value + (0.0 if rule.superior else rule.margin)
    return np.where(room < 0.6 * reach, 0.0, np.where((room > 1.6 * reach) & (error > 0), 1.0, np.nan))


def attainable(of: Population, rows: int, rule: Champion, *, draws: int) -> float:
    """Return how often the model would pass at its first look if the error were known and not estimated: no test of these rows does better.

    The difference is taken to be normal, with the spread that it has over the draws.
    """
    single, paired = next(of.looks(rows, 1, draws, np.random.default_rng(rows)))
    room = of.difference + (0.0 if rule.superior else rule.margin)
    spread = float(macro_f1_differences(single + 2 * paired).std())
    return float(norm.cdf(room / spread - norm.isf(level_of_look(1, rule.level))))


def _parts(draws: int) -> Iterator[int]:
    """Yield how many draws are in memory at once."""
    yield from [_AT_ONCE] * (draws // _AT_ONCE) + ([draws % _AT_ONCE] if draws % _AT_ONCE else [])


#: The criteria that `passerelle new` writes, and those that the documentation shows.
CRITERIA: Mapping[str, Champion] = {
    "default: margin 0.02": Champion(),
    "margin 0.03": Champion(margin=0.03),
    "superior": Champion(superior=True),
}


def table(draws: int, *, criteria: Mapping[str, Champion], shares: tuple[float, ...]) -> Iterator[str]:
    """Yield the lines of the table of first looks, in Markdown."""
    yield f"{len(shares)} classes, shares {min(shares):g} to {max(shares):g}; {draws:,} draws of each, a third with each share in dispute"
    yield ""
    yield "| criteria | truly | " + " | ".join(f"{rows:,} rows" for rows in ROWS) + " |"
    yield "|---|--:|" + "--:|" * len(ROWS)
    for name, rule in criteria.items():
        for truly in TRULY:
            shown = [mean_passes(shares, truly, rows, 1, rule=rule, draws=draws)[0] for rows in ROWS]
            yield f"| {name} | {truly:+.2f} | " + " | ".join(f"{share:.1%}" for share in shown) + " |"


def table_of_looks(draws: int, rule: Champion, shares: tuple[float, ...]) -> Iterator[str]:
    """Yield the lines of the table of looks, with the error of each share."""
    yield f"{len(shares)} classes, {draws:,} draws of each: an error of {(0.05 * 0.95 / draws) ** 0.5:.1%} at 5 %"
    yield ""
    yield "| truly | rows | " + " | ".join(f"by look {look}" for look in LOOKS) + " |"
    yield "|--:|--:|" + "--:|" * len(LOOKS)
    for rows in ROWS:
        shown = mean_passes(shares, -0.02, rows, max(LOOKS), rule=rule, draws=draws)
        yield f"| -0.02 | {rows:,} | " + " | ".join(f"{shown[look - 1]:.1%}" for look in LOOKS) + " |"


def table_of_disputes(draws: int, shares: tuple[float, ...]) -> Iterator[str]:
    """Yield how often an equal model passes that may be worse by 3 points, by the share in dispute, and what is attainable."""
    yield "| level | in dispute | rows | passes | attainable |"
    yield "|--:|--:|--:|--:|--:|"
    for level, disputed, rows in ((0.05, 0.12, 1_000), (0.05, 0.14, 1_000), (0.05, 0.16, 1_000), (0.05, 0.16, 1_200), (0.08, 0.16, 1_000)):
        rule, of = Champion(margin=0.03, level=level, resamples=_RESAMPLES), Population(shares, disputed, 0.0)
        found = passes(of, rows, 1, rule, draws=draws, seed=rows)[0]
        bound = attainable(of, rows, rule, draws=draws)
        yield f"| {level:g} | {disputed:.0%} | {rows:,} | {found:.1%} | {bound:.1%} |"


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
_RESAMPLES = 400


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--draws", type=int, default=3_000, help="of each figure; of looks, four times as many: an error of 0.2 points at 5 %%"
    )
    draws, start = parser.parse_args().draws, time.process_time()
    quick = {name: rule.model_copy(update={"resamples": _RESAMPLES}) for name, rule in CRITERIA.items()}
    default = {name: rule for name, rule in quick.items() if name.startswith("default")}
    rule = next(iter(default.values()))
    parts = [
        ("Share that passes at the first look", table(draws, criteria=quick, shares=EVEN)),
        ("The same with uneven classes", table(draws, criteria=default, shares=UNEVEN)),
        ("Share that has passed at any look so far, by default", table_of_looks(4 * draws, rule, EVEN)),
        ("The same with the classes of the demo", table_of_looks(4 * draws, rule, DEMO)),
        ("The same with uneven classes", table_of_looks(4 * draws, rule, UNEVEN)),
        ("An equal model with a margin of 3 points, by the share in dispute", table_of_disputes(draws, EVEN)),
    ]
    for title, lines in parts:
        sys.stdout.write(f"\n**{title}**\n\n")
        for line in lines:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{time.process_time() - start:.0f} s of processor time\n")


if __name__ == "__main__":
    main()

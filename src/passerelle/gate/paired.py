"""Whether one classifier is better than another on the same rows, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from statsmodels.stats.contingency_tables import mcnemar

from passerelle.criteria import Champion
from passerelle.gate.interval import DifferenceInterval
from passerelle.gate.resampling import standard_error
from passerelle.gate.scores import Codes, Floats, Labels

_FEW = 25


@dataclass(frozen=True)
class Difference(DifferenceInterval):
    """Challenger less champion, in the metric that decides.

    Attributes:
        only_challenger: Rows that only the challenger has right.
        only_champion: Rows that only the champion has right.
        p_value: McNemar's test that both are right equally often; None where something other than accuracy decides.
    """

    only_challenger: int
    only_champion: int
    p_value: float | None


def paired_difference(
    truth: Labels | Codes, champion: Labels | Codes, challenger: Labels | Codes, groups: Codes, rule: Champion, *, level: float
) -> Difference:
    """Return the difference with its interval: groups of near-duplicates are drawn with replacement, the same ones for both models.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 8, for groups; McNemar, Psychometrika 12, 1947, exact where fewer
    than 25 rows differ. See `standard_error` for the error, and `DifferenceInterval` for the interval.

    Args:
        truth: Shape (n,), as are both models' labels.
        groups: Number of the group of each row, shape (n,).
        level: Of this look.
    """
    names, codes = np.unique(np.concatenate([truth, champion, challenger]), return_inverse=True)
    right, old, new = np.split(codes, 3)
    counts, times, disputed = _units(right, old, new, groups, len(names))
    total = np.asarray(times @ counts, dtype=np.float64)[None, :]
    number = int(times.sum())

    def value(sums: Floats) -> Floats:
        return _difference(sums, len(names), rule.metric)

    only_new, only_old = int(np.sum((new == right) & (old != right))), int(np.sum((old == right) & (new != right)))
    both, neither = int(np.sum((new == right) & (old == right))), int(np.sum((new != right) & (old != right)))
    exact = only_new + only_old < _FEW
    p_value = float(mcnemar([[both, only_new], [only_old, neither]], exact=exact).pvalue) if rule.metric == "accuracy" else None
    return Difference(
        rule.metric,
        float(value(total)[0]),
        standard_error(counts, times, value, resamples=rule.resamples, seed=rule.seed),
        number,
        disputed,
        level,
        len(right),
        only_new,
        only_old,
        p_value,
    )


def _units(right: Codes, old: Codes, new: Codes, groups: Codes, classes: int) -> tuple[csr_matrix, Codes, int]:
    """Return the counts of each unit that may be drawn, how many groups are such a unit, and the number of groups in dispute.

    A unit is a group of several rows, or all single rows with the same three labels: as many numbers as there are rows would take long.
    The counts, a row for each unit: rows of each right label, rows given each label by the champion, by the challenger, rows that the
    champion has right, and the challenger.
    """
    _, place, size = np.unique(groups, return_inverse=True, return_counts=True)
    alone = size[place] == 1
    labels = (right * classes + old) * classes + new
    unit = np.where(alone, labels, classes**3 + place)
    _, first, of_row = np.unique(unit, return_index=True, return_inverse=True)
    times = np.where(alone[first], np.bincount(of_row), 1)
    kept = ~alone | np.isin(np.arange(len(right)), first)
    entries = [(right, kept), (classes + old, kept), (2 * classes + new, kept)]
    entries += [(3 * classes + right, kept & (old == right)), (4 * classes + right, kept & (new == right))]
    columns, rows = (np.concatenate([each[mask] for each, mask in pairs]) for pairs in (entries, [(of_row, mask) for _, mask in entries]))
    counts = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(times), 5 * classes))
    differs = np.bincount(of_row, weights=(old == right) != (new == right)) > 0
    return counts, times, int(times[differs].sum())


def _difference(sums: Floats, classes: int, metric: str) -> Floats:
    """Return the difference of each draw, shape (draws,), from its sums of the counts, shape (draws, 5 * classes)."""
    support, old, new, old_hits, new_hits = (sums[:, classes * place : classes * (place + 1)] for place in range(5))
    if metric == "accuracy":
        return np.asarray((new_hits - old_hits).sum(axis=1) / support.sum(axis=1))
    # As `macro_f1`: over the classes that are right for some row of the draw.
    present = support > 0
    gains = new_hits / np.maximum(support + new, 1) - old_hits / np.maximum(support + old, 1)
    return np.asarray(np.where(present, 2 * gains, 0).sum(axis=1) / present.sum(axis=1))

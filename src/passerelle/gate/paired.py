"""Whether one model is better than another on the same rows, with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

from passerelle.gate.scores import Codes, Labels, accuracy, macro_f1

_FEW = 25
_METRICS: Mapping[str, Callable[[Codes, Codes, int], float]] = {
    "accuracy": lambda truth, predicted, _: accuracy(truth, predicted),
    "macro_f1": macro_f1,
}


@dataclass(frozen=True)
class Difference:
    """Challenger less champion, in the primary metric.

    Attributes:
        value: On all rows.
        low: Lower end of the paired bootstrap interval.
        high: Its upper end.
        p_value: McNemar's test that both are right equally often.
        only_challenger: Rows that only the challenger has right.
        only_champion: Rows that only the champion has right.
    """

    metric: str
    value: float
    low: float
    high: float
    p_value: float
    only_challenger: int
    only_champion: int


def paired_difference(
    truth: Labels, champion: Labels, challenger: Labels, *, metric: str, confidence: float, resamples: int, seed: int
) -> Difference:
    """Return the difference with its interval: rows are drawn with replacement, the same ones for both models.

    The percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13; McNemar, Psychometrika 12, 1947,
    exact where fewer than 25 rows differ.

    Args:
        truth: Shape (n,), as are both models' labels.
        metric: `accuracy` or `macro_f1`.
        confidence: Of the interval, from 0 to 1.
    """
    names, codes = np.unique(np.concatenate([truth, champion, challenger]), return_inverse=True)
    right, old, new = np.split(codes, 3)
    score = _METRICS[metric]
    random = np.random.default_rng(seed)
    differences = np.empty(resamples)
    for place in range(resamples):
        rows = random.integers(0, len(right), len(right))
        differences[place] = score(right[rows], new[rows], len(names)) - score(right[rows], old[rows], len(names))
    outside = (1 - confidence) / 2
    low, high = np.quantile(differences, [outside, 1 - outside])
    only_new, only_old = int(np.sum((new == right) & (old != right))), int(np.sum((old == right) & (new != right)))
    both, neither = int(np.sum((new == right) & (old == right))), int(np.sum((new != right) & (old != right)))
    test = mcnemar([[both, only_new], [only_old, neither]], exact=only_new + only_old < _FEW)
    value = score(right, new, len(names)) - score(right, old, len(names))
    return Difference(metric, float(value), float(low), float(high), float(test.pvalue), only_new, only_old)

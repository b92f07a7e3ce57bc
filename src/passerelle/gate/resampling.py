"""The standard error of a figure, by the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from passerelle.gate.scores import Codes, Floats

#: Bound the time, and the memory.
_MOST_DRAWN, _DRAWN_AT_ONCE, _FEWEST_RESAMPLES = 20_000_000, 1_000_000, 200
#: Groups taken to be in dispute besides those that are: two models that differ nowhere on a few rows are not equal for sure.
_BESIDES = 2.0


def standard_error(
    counts: csr_matrix | NDArray[np.float64], times: Codes, value: Callable[[Floats], Floats], *, resamples: int, seed: int
) -> float:
    """Return the standard error of a figure that depends on sums alone.

    Drawing n units with replacement is drawing how often each is there, from a multinomial distribution; equal units count as one. Macro-F1
    is a mean over classes, some of which have few rows: percentiles of its resamples are too narrow then (7 to 8 % outside an interval that
    should leave out 5 %, on 50 to 130 rows), so that only their spread is used here, widened by two disputes that are not there, and
    `DifferenceInterval` takes Student's quantiles. `make gate-power` shows what that comes to.

    Args:
        counts: What each unit adds to the sums, shape (units, sums).
        times: How many units are equal to it, shape (units,).
        value: The figure of each draw, shape (draws,), from its sums, shape (draws, sums).
        resamples: Fewer are drawn where there are many units.
    """
    units, number = len(times), int(times.sum())
    random, shares = np.random.default_rng(seed), times / number
    left = min(resamples, max(_MOST_DRAWN // units, _FEWEST_RESAMPLES))
    values: list[Floats] = []
    while left > 0:
        part = min(left, max(_DRAWN_AT_ONCE // units, 1))
        values.append(value(np.asarray(random.multinomial(number, shares, size=part) @ counts, dtype=np.float64)))
        left -= part
    return math.sqrt(float(np.var(np.concatenate(values), ddof=1)) + _BESIDES / number**2)

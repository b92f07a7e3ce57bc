"""Made-up outcomes of two classifiers on the same rows, whose true difference of macro-F1 is set: for `gate_power`.

The outcomes of a row are one of K³ cases: its right label, the champion's and the challenger's. Draws hold how often each case is there, so
that thousands of them cost seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
#: Of the rows to which the models give different labels: those on which neither is right.
NEITHER = 1 / 7
RIGHT = 0.78
#: Groups of near-duplicates among the rows; each is a pair, which gets the same labels.
PAIRS = 0.02


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

    def looks(self, rows: int, looks: int, draws: int, random: np.random.Generator) -> Iterator[tuple[Codes, Codes]]:
        """Yield, of each look, how many single rows and how many pairs are of each case, each of shape (draws, K, K, K).

        Each look has a challenger of its own, truly as good as the others, next to the same champion on the same rows.
        """
        size, (first, later) = len(self.shares), cases_of(self)
        pairs = random.binomial(rows, PAIRS, draws)
        known = [random.multinomial(number, first.sum(axis=2).ravel()).reshape(-1) for number in (rows - 2 * pairs, pairs)]
        shares = np.broadcast_to(later.reshape(1, size * size, size), (draws, size * size, size)).reshape(-1, size)
        for _ in range(looks):
            single, paired = (random.multinomial(each, shares).reshape(draws, size, size, size) for each in known)
            yield single, paired


@cache
def cases_of(of: Population) -> tuple[Numbers, Numbers]:
    """Return the share of each case, and that of each label of a challenger given the right one and the champion's, both (K, K, K).

    The shares are set so that macro-F1 over all records differs as it should, to six digits.
    """
    shift = of.difference
    for _ in range(60):
        first, later = _cases(np.array(of.shares), of.disputed, shift)
        shift += of.difference - float(macro_f1_differences(first[None])[0])
    return first, later


def _cases(shares: Numbers, disputed: float, shift: float) -> tuple[Numbers, Numbers]:
    """Return the cases where the challenger alone is right on so many more records than the champion alone."""
    size, one_right = len(shares), disputed * (1 - NEITHER)
    champion_right = RIGHT - shift / 2
    lost, won = (one_right - shift) / 2 / champion_right, (one_right + shift) / 2 / (1 - champion_right)
    moved = disputed * NEITHER / (1 - champion_right)
    known, later = np.zeros((size, size)), np.zeros((size, size, size))
    for truth in range(size):
        wrong = _without(shares, truth)
        known[truth] = shares[truth] * (1 - champion_right) * wrong
        known[truth, truth] = shares[truth] * champion_right
        later[truth, truth] = lost * wrong
        later[truth, truth, truth] = 1 - lost
        for old in set(range(size)) - {truth}:
            later[truth, old] = moved * _without(shares, truth, old)
            later[truth, old, truth], later[truth, old, old] = won, 1 - won - moved
    return known[:, :, None] * later, later


def _without(shares: Numbers, *labels: int) -> Numbers:
    """Return the shares of the other labels: a wrong label is the more frequent the larger its class."""
    left = shares.copy()
    left[list(labels)] = 0
    return np.asarray(left / left.sum())


def macro_f1_differences(counts: Numbers | Codes) -> Numbers:
    """Return macro-F1 of the challenger less that of the champion, shape (draws,), from how many rows are of each case."""
    support, old, new, old_right, new_right = _sums(counts)
    gains = 2 * (new_right / np.maximum(support + new, 1e-12) - old_right / np.maximum(support + old, 1e-12))
    return np.asarray(np.where(support > 0, gains, 0).sum(axis=1) / (support > 0).sum(axis=1))


def rough_errors(single: Codes, paired: Codes) -> Numbers:
    """Return about the standard error of each draw's difference, shape (draws,): what the bootstrap comes to with many rows.

    By the gradient (Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", 1982, ch. 6), which costs next to nothing.
    """
    support, old, new, old_right, new_right = _sums(single + 2 * paired)
    ours, theirs = 2 / np.maximum(support + new, 1e-12), 2 / np.maximum(support + old, 1e-12)
    ours_lost, theirs_lost = ours * new_right / np.maximum(support + new, 1e-12), theirs * old_right / np.maximum(support + old, 1e-12)
    same = np.eye(support.shape[1])
    gradient = (theirs_lost - ours_lost)[:, :, None, None] + theirs_lost[:, None, :, None] - ours_lost[:, None, None, :]
    gradient = gradient + ours[:, :, None, None] * same[:, None, :] - theirs[:, :, None, None] * same[:, :, None]
    gradient = np.where((support > 0)[:, :, None, None], gradient, 0) / (support > 0).sum(axis=1)[:, None, None, None]
    axes, groups = (1, 2, 3), (single + paired).sum(axis=(1, 2, 3))
    squares = ((single + 4 * paired) * gradient**2).sum(axis=axes)
    return np.asarray(np.sqrt(np.maximum(squares - ((single + 2 * paired) * gradient).sum(axis=axes) ** 2 / groups, 0)))


def disputed_groups(single: Codes, paired: Codes) -> Codes:
    """Return how many groups of each draw one model alone has right, shape (draws,)."""
    same = np.eye(single.shape[1], dtype=bool)
    disputed = same[:, :, None] != same[:, None, :]
    return np.asarray((single + paired)[:, disputed].sum(axis=1))


def _sums(counts: Numbers | Codes) -> Sequence[Numbers]:
    """Return rows of each right label, rows given each by the champion and by the challenger, and those that each has right."""
    places = np.arange(counts.shape[1])
    right = counts.sum(axis=3)[:, places, places], counts.sum(axis=2)[:, places, places]
    return [
        np.asarray(each, dtype=np.float64) for each in (counts.sum(axis=(2, 3)), counts.sum(axis=(1, 3)), counts.sum(axis=(1, 2)), *right)
    ]


def rows_of(single: Codes, paired: Codes) -> tuple[Codes, Codes, Codes, Codes]:
    """Return right labels, the champion's, the challenger's, and groups of near-duplicates of one draw, each of shape (rows,)."""
    cases = np.repeat(np.arange(single.size), single.ravel()), np.repeat(np.arange(paired.size), paired.ravel())
    truth, old, new = np.unravel_index(np.concatenate([cases[0], np.repeat(cases[1], 2)]), single.shape)
    groups = np.concatenate([np.arange(len(cases[0])), len(cases[0]) + np.repeat(np.arange(len(cases[1])), 2)])
    return truth, old, new, groups

"""How much of a level of error each look at the same rows may take, so that all of them together stay within it."""

from __future__ import annotations

#: What the first look gets, as a share of the whole, and what all others get; a test set serves its purpose best when it is fresh. A
#: twentieth is kept back: the error of a difference is estimated, so that intervals leave out slightly more than they should.
_FIRST, _OTHERS = 0.85, 0.1
#: Share of the whole below which a look is hardly worth taking: from the fourth on.
_WORN = 0.01


def level_of_look(number: int, level: float) -> float:
    """Return the level of error of one look, such that the levels of all looks stay within the whole, however many there are.

    A challenger that is truly worse by the margin passes at look k with at most this probability, and so at any of the looks with at most
    their sum (the inequality of Bonferroni; of alpha spending, Lan and DeMets, Biometrika 70, 1983). The first look gets 0.85 of
    it; the others get a tenth by 1 / (k (k - 1)), whose sum over k = 2, 3, … is 1.

    Args:
        number: Of the look, from 1.
        level: Of all looks together, from 0 to 1.
    """
    return _FIRST * level if number <= 1 else _OTHERS * level / (number * (number - 1))


def is_worn(level: float, whole: float) -> bool:
    """Return whether so little of the whole is left for a look that only large differences show."""
    return level < _WORN * whole

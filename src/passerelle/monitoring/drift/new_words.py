"""Words that came up: more texts hold them this week than before, measured by log-odds with an informative Dirichlet prior."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from passerelle.monitoring.drift.day_counts import DayCounts
from passerelle.monitoring.drift.language import STOP_WORDS

#: Texts that must hold a word: a rarer one may be a name that the redaction missed.
LEAST_TEXTS: Final = 5
MOST_WORDS: Final = 20
_LEAST_LETTERS: Final = 4
#: Weight of the prior, as so many words of text.
_PRIOR_WORDS: Final = 500.0
#: Of the standardised log-odds; a thousand words are compared at once.
_LEAST_Z: Final = 3.9


class NewWord(NamedTuple):
    """A word, the texts that hold it now and before, and its log-odds in standard deviations."""

    word: str
    texts: int
    before: int
    z: float


def texts_with(days: Sequence[DayCounts]) -> Counter[str]:
    """Return how many texts of these days hold each word."""
    words: Counter[str] = Counter()
    for day in days:
        words.update(day.words)
    return words


def new_words(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[NewWord, ...]:
    """Return the words that are more frequent than before, the clearest first.

    B. Monroe, M. Colaresi and K. Quinn, "Fightin' Words", Political Analysis 16, 2008, formulas 15, 16, 19 and 22; the prior is the
    frequency of each word in both periods.

    Args:
        now: Texts of the window that hold each word.
        before: Texts of the month before that hold each word.
    """
    total_now, total_before = sum(now.values()), sum(before.values())
    if not total_now or not total_before:
        return ()
    found = []
    for word, count in now.items():
        if count < LEAST_TEXTS or len(word) < _LEAST_LETTERS or word in STOP_WORDS:
            continue
        earlier = before.get(word, 0)
        prior = _PRIOR_WORDS * (count + earlier) / (total_now + total_before)
        odds_now = (count + prior) / (total_now + _PRIOR_WORDS - count - prior)
        odds_before = (earlier + prior) / (total_before + _PRIOR_WORDS - earlier - prior)
        z = (math.log(odds_now) - math.log(odds_before)) / math.sqrt(1 / (count + prior) + 1 / (earlier + prior))
        if z >= _LEAST_Z:
            found.append(NewWord(word, count, earlier, round(z, 2)))
    return tuple(sorted(found, key=lambda each: (-each.z, each.word))[:MOST_WORDS])

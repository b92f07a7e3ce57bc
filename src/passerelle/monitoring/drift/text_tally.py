"""The logged texts of one day: how many are in another language, and which words they hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from passerelle.monitoring.drift.day_counts import DayCounts, Sums
from passerelle.monitoring.drift.language import in_another_language, words_of

#: Texts of a day that are looked at: enough to tell shares to half a point.
MOST_TEXTS: Final = 5_000


class TextTally:
    """Adds up the texts of one day, `MOST_TEXTS` at most."""

    def __init__(self) -> None:
        self._texts = 0
        self._languages = Sums()
        self._words: Counter[str] = Counter()

    @property
    def room(self) -> int:
        """How many further texts may be added."""
        return MOST_TEXTS - self._texts

    def add(self, text: str, *, redacted: bool) -> None:
        """Add a text; its words count only where it was redacted, for words are shown."""
        self._texts += 1
        words = words_of(text)
        other = in_another_language(words)
        if other is not None:
            self._languages = self._languages.plus(1, int(other))
        if redacted:
            self._words.update(set(words))

    def added_to(self, day: DayCounts) -> DayCounts:
        """Return the day with its texts."""
        return replace(day, sums={**day.sums, "other_language": self._languages}, texts=self._texts, words=dict(self._words))

"""Words of a text for the drift report: distinct, without what was redacted; and whether the text is French."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]{2,}")
#: What the redaction puts in the place of what it took out.
_REDACTED: Final = re.compile(r"\[[^\[\]]{0,40}\]")
#: Hardly any French text of some length is without several of these, and other languages have few of them: `un`, `la`, `en`, `que`, `on`
#: are not among them.
STOP_WORDS: Final = frozenset(
    _WORD.findall(
        "le les une des du au aux et ou où mais donc car qui quoi dont ce cet cette ces mon mes ton tes son ses notre votre vos "
        "leur leurs je elle nous vous ils elles ne pas est sont suis été être ai avons avez ont avait dans sur sous par pour "
        "avec sans chez depuis vers très trop bien comme quand alors aussi tout tous toute toutes fait faire peut même encore "
        "toujours jamais rien ça bonjour merci il y"
    )
)
_LEAST_WORDS: Final = 6
_LEAST_SHARE: Final = 0.12


def words_of(text: str) -> list[str]:
    """Return the words of two letters or more, in small letters, in their order."""
    return _WORD.findall(_REDACTED.sub(" ", text).lower())


def in_another_language(words: list[str]) -> bool | None:
    """Return whether hardly any of the words is a French stop word; None where there are too few words to tell."""
    if len(words) < _LEAST_WORDS:
        return None
    return sum(word in STOP_WORDS for word in words) < _LEAST_SHARE * len(words)

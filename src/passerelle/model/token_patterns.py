"""Check that the time of a model's own token patterns is bounded: some need minutes for a few hundred characters.

A regular expression that backtracks cannot be interrupted, and holds up every other request meanwhile.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache

from passerelle.errors import RefusedError
from passerelle.model.flavors.flavor import FittedClassifier
from passerelle.model.text_limits import TEXT_CHARACTERS

#: Processor time that a pattern may take for one text of the longest length; scikit-learn's own takes about a hundredth of it.
LIMIT_S = 0.1
#: The lengths tried grow by an eighth, so that the one that exceeds the limit does not exceed it by far.
_SHORTEST = 16
#: Characters of words, numbers and addresses; those of the pattern are added.
_USUAL = ("a", "A", "é", "0", " ", "a ", "a-", "a'", "a.", "a@", "a0")
#: A match that fails at its last character makes a pattern try all others.
_ENDS = ("", "\N{NULL}")


def check_token_patterns(pipeline: FittedClassifier) -> None:
    """Check that every vectorizer with a token pattern of its own cuts hard texts of any accepted length in bounded time.

    Args:
        pipeline: A fitted scikit-learn pipeline.

    Raises:
        RefusedError: A pattern takes more than `LIMIT_S` of processor time; says for how many characters.
    """
    for pattern in sorted(set(_patterns(pipeline))):
        _check_pattern(pattern)


# A pattern that passed is not tried again in this process; what is raised is not kept.
@lru_cache(maxsize=64)
def _check_pattern(pattern: str) -> None:
    length = too_slow_from(re.compile(pattern).findall, pattern)
    if length is not None:
        message = f"the token pattern {pattern!r} takes more than {LIMIT_S:g} s of processor time for a text of {length} characters"
        raise RefusedError(f"{message}: nested or adjoining repetitions are the usual cause", hint="passerelle train --again")


def too_slow_from(find: Callable[[str], object], pattern: str, *, most_characters: int = TEXT_CHARACTERS) -> int | None:
    """Return the length of a text for which `find` takes more than `LIMIT_S`; None where no tried text does.

    Args:
        find: Is given texts up to the longest one, the short ones first.
        pattern: Its characters are among those that the texts are made of.
        most_characters: Longest text that is accepted.
    """
    units = [*_USUAL, *sorted(set(pattern) - set("".join(_USUAL)))]
    for unit in units:
        for end in _ENDS:
            length = _SHORTEST
            while length < most_characters:
                length = min(length + length // 8, most_characters)
                text = (unit * (length // len(unit) + 1))[: length - len(end)] + end
                # Twice, because the first call in a process may be slower.
                if _seconds(find, text) > LIMIT_S and _seconds(find, text) > LIMIT_S:
                    return length
    return None


def _seconds(find: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    find(text)
    return time.thread_time() - began


def _patterns(pipeline: FittedClassifier) -> Iterator[str]:
    """Yield the token pattern of each vectorizer that cuts words and was not left at scikit-learn's own pattern."""
    for step in (pipeline, *pipeline.get_params(deep=True).values()):
        pattern = getattr(step, "token_pattern", None)
        if isinstance(pattern, str) and getattr(step, "analyzer", None) == "word" and pattern != _default(step):
            yield pattern


def _default(step: object) -> object:
    return getattr(type(step)(), "token_pattern", None)

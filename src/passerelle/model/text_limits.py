"""What a text may hold so that the time for cutting it into n-grams grows no faster than its length; the same at training and when served.

`unicodedata.normalize` sorts each run of combining marks in quadratic time, and one character may decompose into eighteen.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Longest text of one field, in characters, unless the operator sets another limit.
TEXT_CHARACTERS = 20_000
#: Most non-starters in a row after compatibility decomposition. The Stream-Safe Text Format of Unicode has the same limit, which no
#: language comes near: UAX #15, section 13, https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format.
NON_STARTERS = 30
#: A decomposed text may be this many times as long as the longest text. No letter of any language decomposes into more characters.
EXPANSION = 4
#: Characters that U+FDFA decomposes into; no other one has as many.
LONGEST_DECOMPOSITION = 18
#: A run of more than `NON_STARTERS` takes at least 14 characters: a letter may bring three of them, and each mark two.
_STRIDE = 14
#: From here on no character decomposes into several, and none is a non-starter.
_PLAIN = 0x20000
#: Syllables, which decompose by rule: each 28th into two characters, the others into three.
_HANGUL = range(0xAC00, 0xD7A4, 28)


class _Tables(NamedTuple):
    """What Unicode says of each character below `_PLAIN`; the last entry stands for all others.

    Attributes:
        lengths: Characters of the decomposition.
        non_starters: How many non-starters the decomposition ends in.
        starts: Whether the decomposition holds a starter, so that a new run begins.
        maybe: Finds what may be a non-starter: `re` has a bitmap for the BMP, and above it one range is quicker than many.
    """

    lengths: NDArray[np.uint8]
    non_starters: NDArray[np.uint8]
    starts: NDArray[np.bool_]
    maybe: re.Pattern[str]


def text_fault(text: str, *, most_characters: int = TEXT_CHARACTERS) -> str | None:
    """Return what is wrong with a text, as the end of a sentence, or None where its cost is bounded.

    Args:
        text: Of any length; whether it is longer than `most_characters` itself is not looked at.
        most_characters: Longest text that is accepted.
    """
    if text.isascii():
        return None
    # Of any run that is too long one character is looked at; most texts need no more.
    if _tables().maybe.search(text[::_STRIDE]) and _longest_run(text) > NON_STARTERS:
        return f"has more than {NON_STARTERS} combining marks in a row"
    most = EXPANSION * most_characters
    if len(text) * LONGEST_DECOMPOSITION > most and decomposed_length(text) > most:
        return f"is longer than {most} characters once its characters are decomposed (Unicode NFKD)"
    return None


def is_unicode(text: str) -> bool:
    """Return whether a text can be written in UTF-8: it holds no half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def decomposed_length(text: str) -> int:
    """Return the length of the text's compatibility decomposition, in linear time."""
    return int(_tables().lengths.take(_codes(text), mode="clip").sum())


def _longest_run(text: str) -> int:
    """Return the most non-starters in a row of the text's compatibility decomposition, in linear time."""
    import numpy as np  # noqa: PLC0415 - the process that starts the workers does without

    tables, codes = _tables(), _codes(text)
    starts = tables.starts.take(codes, mode="clip")
    starts[0] = True
    # A run begins with the non-starters that the decomposition of a starter ends in, and goes on until the next starter.
    counts = tables.non_starters.take(codes, mode="clip").astype(np.int32)
    return int(np.add.reduceat(counts, np.flatnonzero(starts)).max())


def _codes(text: str) -> NDArray[np.int32]:
    import numpy as np  # noqa: PLC0415 - as above

    # No codec of Python's own library, which an image holds without bytecode.
    return np.array([text]).view(np.int32)[: len(text)]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    import numpy as np  # noqa: PLC0415 - as above

    lengths, non_starters = np.ones(_PLAIN + 1, dtype=np.uint8), np.zeros(_PLAIN + 1, dtype=np.uint8)
    starts = np.ones(_PLAIN + 1, dtype=np.bool_)
    lengths[_HANGUL.start : _HANGUL.stop] = 3
    lengths[_HANGUL.start : _HANGUL.stop : _HANGUL.step] = 2
    for character in map(chr, range(_PLAIN)):
        if unicodedata.combining(character) or unicodedata.decomposition(character):
            decomposed, code = unicodedata.normalize("NFKD", character), ord(character)
            non_starters[code] = count = _trailing_non_starters(decomposed)
            lengths[code], starts[code] = len(decomposed), count < len(decomposed)
    marks = [chr(code) for code in np.flatnonzero(~starts).tolist()]
    above = [mark for mark in marks if mark > "\uffff"]
    return _Tables(lengths, non_starters, starts, re.compile(f"[{''.join(marks[: -len(above)])}{above[0]}-{above[-1]}]"))


def _trailing_non_starters(decomposed: str) -> int:
    count = 0
    while count < len(decomposed) and unicodedata.combining(decomposed[-1 - count]):
        count += 1
    return count

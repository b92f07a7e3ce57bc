"""Text to n-grams, exactly as scikit-learn's vectorizers cut them.

The functions here are pure. Those that end in `_of_chunk` see one whitespace-separated chunk at a time, which is what makes it
possible to remember their result: with the default token pattern and with `char_wb`, no n-gram but a word n-gram crosses whitespace.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

DEFAULT_TOKEN_PATTERN = r"(?u)\b\w\w+\b"  # noqa: S105 - scikit-learn's own default, not a secret
#: Patterns of a word: none crosses whitespace, beside which a `\b` holds as it does at the ends of a text.
_WORD_PATTERNS = frozenset({DEFAULT_TOKEN_PATTERN, r"(?u)\b\w+\b", r"\b\w\w+\b", r"\b\w+\b", r"(?u)\w+", r"\w+"})
_BMP_END = 0x10000
_WHITE_SPACES = re.compile(r"\s\s+")


@dataclass(frozen=True)
class Analyzer:
    """How one vectorizer cuts a text.

    Attributes:
        kind: `word`, `char` or `char_wb`.
        ngrams: Smallest and largest n.
        lowercase: Whether `str.lower` comes first.
        accents: How accents are stripped: None, `ascii` or `unicode`.
        tokens: Regular expression of a token (`word` only).
        stop_words: Tokens that are left out (`word` only).
    """

    kind: str
    ngrams: tuple[int, int]
    lowercase: bool
    accents: str | None
    tokens: str = DEFAULT_TOKEN_PATTERN
    stop_words: frozenset[str] = frozenset()

    @property
    def by_chunk(self) -> bool:
        """Whether tokens and characters' n-grams never cross whitespace."""
        return self.kind == "char_wb" or (self.kind == "word" and self.tokens in _WORD_PATTERNS)

    @property
    def by_pairs(self) -> bool:
        """Whether the n-grams that cross whitespace are pairs of words."""
        return self.kind == "word" and self.by_chunk and self.ngrams[1] == 2  # noqa: PLR2004 - a pair


def preprocess_of(*, lowercase: bool, accents: str | None) -> Callable[[str], str]:
    """Return the function that lower-cases a text and strips its accents."""
    strip = {None: None, "ascii": _strip_ascii, "unicode": _strip_unicode}[accents]
    if strip is None:
        return str.lower if lowercase else str
    if not lowercase:
        return strip
    return lambda text: strip(text.lower())


def _strip_ascii(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _strip_unicode(text: str) -> str:
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text)
    if len(text.encode("utf-16-le", "surrogatepass")) > 2 * len(text):
        return "".join([c for c in text if not unicodedata.combining(c)])
    return _combining().sub("", text)


@lru_cache(maxsize=1)
def _combining() -> re.Pattern[str]:
    """Return a pattern of the combining characters under U+10000: `re` has a bitmap for those and is slow above."""
    return re.compile("[" + "".join(chr(i) for i in range(0x300, _BMP_END) if unicodedata.combining(chr(i))) + "]+")


def tokenizer_of(analyzer: Analyzer) -> Callable[[str], list[str]]:
    """Return the function from a preprocessed text to its tokens, stop words left out."""
    find, stop_words = re.compile(analyzer.tokens).findall, analyzer.stop_words
    if not stop_words:
        return find
    return lambda text: [token for token in find(text) if token not in stop_words]


def word_ngrams(tokens: Sequence[str], smallest: int, largest: int) -> list[str]:
    """Return the n-grams of these tokens, joined by one space."""
    ngrams: list[str] = []
    for n in range(smallest, largest + 1):
        if n == 1:
            ngrams.extend(tokens)
        elif n == 2:  # noqa: PLR2004 - pairs are the common case and a format string is quicker than a join
            ngrams.extend([f"{a} {b}" for a, b in pairwise(tokens)])
        else:
            ngrams.extend([" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)])
    return ngrams


def char_ngrams(text: str, smallest: int, largest: int) -> list[str]:
    """Return the n-grams of characters of a preprocessed text, runs of whitespace made one space."""
    text = _WHITE_SPACES.sub(" ", text)
    return [text[i : i + n] for n in range(smallest, largest + 1) for i in range(len(text) - n + 1)]


def char_wb_ngrams_of_chunk(chunk: str, smallest: int, largest: int) -> list[str]:
    """Return the n-grams of one chunk padded with a space on both sides; a chunk shorter than n counts once."""
    padded = f" {chunk} "
    ngrams: list[str] = []
    for n in range(smallest, largest + 1):
        if len(padded) <= n:
            ngrams.append(padded)
            break
        ngrams.extend([padded[i : i + n] for i in range(len(padded) - n + 1)])
    return ngrams


def word_ngrams_in_slices(tokens: Sequence[str], smallest: int, largest: int, size: int) -> Iterator[list[str]]:
    """Yield the n-grams of `word_ngrams`, at most `size` of them at a time."""
    for n in range(smallest, largest + 1):
        for begin in range(0, len(tokens) - n + 1, size):
            yield word_ngrams(tokens[begin : begin + size + n - 1], n, n)


def char_ngrams_in_slices(text: str, smallest: int, largest: int, size: int) -> Iterator[list[str]]:
    """Yield the n-grams of `char_ngrams`, at most `size` of them at a time."""
    text = _WHITE_SPACES.sub(" ", text)
    for n in range(smallest, largest + 1):
        yield from _of_length(text, n, size)


def char_wb_ngrams_of_chunk_in_slices(chunk: str, smallest: int, largest: int, size: int) -> Iterator[list[str]]:
    """Yield the n-grams of `char_wb_ngrams_of_chunk`, at most `size` of them at a time."""
    padded = f" {chunk} "
    for n in range(smallest, largest + 1):
        if len(padded) <= n:
            yield [padded]
            break
        yield from _of_length(padded, n, size)


def _of_length(text: str, n: int, size: int) -> Iterator[list[str]]:
    for begin in range(0, len(text) - n + 1, size):
        yield [text[i : i + n] for i in range(begin, min(begin + size, len(text) - n + 1))]

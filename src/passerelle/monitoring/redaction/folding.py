"""A text as the rules read it: without accents, invisible characters and other spellings of digits, spaces and dashes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from passerelle.monitoring.redaction.code_pages import CODE_PAGES, byte_table, bytes_where, encoded

Span = tuple[int, int]

#: Stands where an earlier rule found something.
_MASK: Final = "\0"
_MOST_CACHED: Final = 4096
_APOSTROPHES: Final = "'’‘ʼ`´"
#: Combining marks, and characters without a width: they may stand inside of a number or a word.
_INVISIBLE: Final = {"Mn", "Me", "Cf"}
_BY_CATEGORY: Final = {"Zl": "\n", "Zp": "\n", "Zs": " ", "Pd": "-"}
_SHOUTED_SHARE: Final = 0.7


class _Characters(dict[int, str | None]):
    """The folded form of each character, for `str.translate`; None for one that is left out."""

    def __missing__(self, code: int) -> str | None:
        folded = _fold(chr(code))
        # A cache without limit would grow with what clients send.
        if len(self) < _MOST_CACHED:
            self[code] = folded
        return folded


def _fold(character: str) -> str | None:
    """Return one character for one character, or None."""
    category = unicodedata.category(character)
    if category in _INVISIBLE:
        return None
    if character in _APOSTROPHES:
        return "'"
    folded = "\n" if character == "\r" else "-" if character == "−" else " " if character == "\t" else _BY_CATEGORY.get(category)
    if folded is None:
        digit = unicodedata.digit(character, None)
        folded = None if digit is None else str(digit)
    return folded or _base(character)


def _base(character: str) -> str:
    """Return the character without accents, and in its common form where it is full-width; itself where that is several characters."""
    base = [part for part in unicodedata.normalize("NFKD", character) if unicodedata.category(part) not in _INVISIBLE]
    return base[0] if len(base) == 1 else character


_CHARACTERS: Final = _Characters()


class _CodePage(NamedTuple):
    """How the bytes of a code page are folded.

    Attributes:
        cased: To folded bytes.
        lower: To folded bytes in lower case.
        others: Bytes that are left out, or for which no byte of the code page stands.
        capitals: Bytes that are capital letters once folded.
        letters: Bytes that are letters once folded.
    """

    cased: bytes
    lower: bytes
    others: bytes
    capitals: bytes
    letters: bytes


def _page(page: str) -> _CodePage:
    cased, others = byte_table(page, _fold)
    lower, _ = byte_table(page, lambda character: (_fold(character) or "").lower())
    return _CodePage(
        cased,
        lower,
        others,
        bytes_where(page, lambda character: (_fold(character) or "").isupper()),
        bytes_where(page, lambda character: (_fold(character) or "").isalpha()),
    )


PAGES: Final = {page: _page(page) for page in CODE_PAGES}


class Folded(NamedTuple):
    """A folded text.

    Attributes:
        cased: The folded text.
        text: The same in lower case; of the same length.
        places: Where each character stands in the original text, and where that ends; None where no character was left out.
        shouted: Whether it is written in capitals, which then distinguish no names.
    """

    cased: str
    text: str
    places: Sequence[int] | None
    shouted: bool

    def capital(self, place: int) -> bool:
        """Return whether a capital letter stands here that says something."""
        return not self.shouted and self.cased[place].isupper()

    def masked(self, spans: Iterable[Span]) -> Folded:
        """Return the text without what stands in these spans, with all other characters in their places."""
        cased, text = [], []
        end = 0
        for start, stop in spans:
            cased += [self.cased[end:start], _MASK * (stop - start)]
            text += [self.text[end:start], _MASK * (stop - start)]
            end = stop
        return self._replace(cased="".join([*cased, self.cased[end:]]), text="".join([*text, self.text[end:]]))

    def original(self, span: Span) -> Span:
        """Return where a span stands in the original text."""
        if self.places is None:
            return span
        return self.places[span[0]], self.places[span[1]]


def fold(text: str) -> Folded:
    """Return the text as the rules read it, in time that grows with its length alone."""
    found = encoded(text)
    if found is None:
        return _fold_any(text)
    name, data = found
    page = PAGES[name]
    if len(data.translate(None, page.others)) != len(data):
        return _fold_any(text)
    capitals = len(data) - len(data.translate(None, page.capitals))
    shouted = capitals > 0 and capitals > _SHOUTED_SHARE * (len(data) - len(data.translate(None, page.letters)))
    return Folded(data.translate(page.cased).decode(name), data.translate(page.lower).decode(name), None, shouted)


def _fold_any(text: str) -> Folded:
    """Return the folded text, whatever characters it has."""
    cased = text.translate(_CHARACTERS)
    places = None
    if len(cased) != len(text):
        places = [place for place, character in enumerate(text) if _CHARACTERS[ord(character)] is not None] + [len(text)]
    letters = sum(map(str.isalpha, cased))
    shouted = letters > 0 and sum(map(str.isupper, cased)) > _SHOUTED_SHARE * letters
    return Folded(cased, cased.lower(), places, shouted)

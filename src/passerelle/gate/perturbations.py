"""Records that two models are both asked about, to see whether they answer alike: rows, rows with changes, and texts that nobody writes.

Bounded and the same each time: rows are taken evenly, and what is drawn is drawn with a fixed seed.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from passerelle.model.text_limits import TEXT_CHARACTERS, text_fault

#: Most rows that are asked as they are, most that are changed, and most n-grams that are put into rows.
ROWS, CHANGED_ROWS, NGRAMS = 2_000, 100, 300
_SEED = 0
AS_IT_IS, MADE_UP = "as it is", "made up"
#: Texts that nobody writes, or that somebody writes to see what breaks.
HOSTILE = (
    "ok", ".", "0", "x" * 2_000, "ÇA NE MARCHE PAS !!!", "e\u0301te\u0301", "zzzz 404 ?! 😡🙏", "line one\nline two\ttab",
    "\u202eà l'envers", "<script>alert(1)</script>' OR 1=1 --", "{{ 7 * 7 }} ${7*7}", "a b c d e f g h i j k l m n o p", "merci " * 300,
    "Ａｂｃ ﬁn ½ ²",
)  # fmt: skip
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One record to ask about.

    Attributes:
        row: Number of the row that it was made of, from 1.
        change: What was done to the row.
    """

    record: Record
    row: int
    change: str


def cases(records: pd.DataFrame, ngrams: Sequence[str] = (), *, rows: int = ROWS) -> list[Case]:
    """Return the rows as they are, rows with each change, rows with an n-gram more, and hostile texts; rows without text only as they are.

    Args:
        ngrams: To put into rows; no more than `NGRAMS` of them are.
        rows: Most rows that are asked about as they are.
    """
    table: list[Record] = [{str(name): value for name, value in row.items()} for row in records.to_dict(orient="records")]
    texts = [str(name) for name in records.columns if pd.api.types.is_string_dtype(records[name])]
    found = [Case(table[place], place + 1, AS_IT_IS) for place in _even(len(table), rows)]
    if texts and table:
        found += [each for each in _changed(table, texts, ngrams) if all(map(_is_accepted, (each.record[name] for name in texts)))]
    return found


def _changed(rows: Sequence[Record], texts: Sequence[str], ngrams: Sequence[str]) -> Iterator[Case]:
    dice = random.Random(_SEED)  # noqa: S311 - the same rows each time, no secret
    words = [word for place in _even(len(rows), CHANGED_ROWS) for word in str(rows[place][texts[0]]).split()] or ["mot"]
    for name, change in _CHANGES.items():
        for place in _even(len(rows), CHANGED_ROWS):
            yield Case(_with(rows[place], {text: change(str(rows[place][text]), words, dice) for text in texts}), place + 1, name)
    for number, ngram in enumerate(ngrams[:NGRAMS]):
        place, column = dice.randrange(len(rows)), texts[number % len(texts)]
        yield Case(_with(rows[place], {column: f"{rows[place][column]} {ngram}"}), place + 1, "an n-gram more")
        yield Case(_with(rows[place], {column: ngram}), place + 1, "an n-gram alone")
    for text in HOSTILE:
        yield Case(_with(rows[0], dict.fromkeys(texts, text)), 1, MADE_UP)


def _with(row: Record, texts: Mapping[str, str]) -> Record:
    return {**row, **texts}


def _even(rows: int, most: int) -> list[int]:
    """Return the places of so many rows at most, spread over all."""
    step = max(1, -(-rows // most))
    return list(range(0, rows, step))


def _is_accepted(text: str) -> bool:
    """Return whether a service with the usual limits accepts a text."""
    return bool(text.strip()) and len(text) <= TEXT_CHARACTERS and text_fault(text) is None


def _other_spaces(text: str, _: Sequence[str], dice: random.Random) -> str:
    return "  " + "".join(dice.choice((" ", "  ", "\t", "\n", "\N{NO-BREAK SPACE}")) if letter == " " else letter for letter in text) + " "


def _other_capitals(text: str, _: Sequence[str], dice: random.Random) -> str:
    return dice.choice((str.upper, str.lower, str.title, str.swapcase))(text)


def _other_accents(text: str, _: Sequence[str], dice: random.Random) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return dice.choice((decomposed, "".join(letter for letter in decomposed if not unicodedata.combining(letter)), text.replace("e", "é")))


def _more_words(text: str, words: Sequence[str], dice: random.Random) -> str:
    own = text.split()
    for _ in range(3):
        own.insert(dice.randint(0, len(own)), dice.choice(words))
    return " ".join(own)


def _fewer_words(text: str, _: Sequence[str], dice: random.Random) -> str:
    own = text.split()
    return " ".join(word for word in own if dice.random() > 1 / 3) or text


_CHANGES: Mapping[str, Callable[[str, Sequence[str], random.Random], str]] = {
    "other spaces": _other_spaces,
    "other capitals": _other_capitals,
    "other accents": _other_accents,
    "words added": _more_words,
    "words removed": _fewer_words,
}

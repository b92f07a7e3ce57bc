"""The columns of a file as people are shown them: what each holds, but none of its texts, and which may be the text and the class."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

_SAMPLE_ROWS = 2_000
_LONGEST_NAME, _MOST_WORDS = 40, 6
_WORDS_OF_A_TEXT = 3
_ROWS_OF_A_CLASS = 6
_COLUMNS_LISTED = 30
_FEATURES_NAMED = 12
_NUMBER = re.compile(r"[+-]?\d[\d\s\u202f]*(?:[.,]\d+)?(?:[eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}(?: .*)?")
_TRUTH = {"true", "false", "vrai", "faux", "oui", "non", "yes", "no"}
_TEXT_NAMES = {"text", "texte", "message", "comment", "comments", "commentaire", "avis", "verbatim", "contenu", "body", "question"}
_LABEL_NAMES = {
    "label", "class", "classe", "category", "categorie", "catégorie", "theme", "thème", "thematique", "thématique", "motif", "intent",
    "intention", "target", "cible",
}  # fmt: skip


@dataclass(frozen=True)
class FileColumn:
    """One column of a file.

    Attributes:
        place: From 1, in the file's order.
        name: None where it might be somebody's text and is not to be shown.
        kind: number, date, true or false, class, text, identifier, words or empty.
        filled: Share of the rows that have a value.
        distinct: How many different values it holds.
    """

    place: int
    name: str | None
    kind: str
    filled: float
    distinct: int

    @property
    def title(self) -> str:
        """The name, or the place where the name is not to be shown."""
        return f"'{self.name}'" if self.name is not None else f"column {self.place} (its name looks like a text and is not shown)"


def columns_of(table: pd.DataFrame) -> tuple[FileColumn, ...]:
    """Return what each column of a table holds."""
    found = []
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        values = column.dropna()
        values = values[values.astype(str).str.strip() != ""]
        kind = _kind(values)
        printable = str(name) if _is_name(str(name), kind) else None
        found.append(FileColumn(place + 1, printable, kind, len(values) / max(len(table), 1), int(values.astype(str).nunique())))
    return tuple(found)


def lacks_header(table: pd.DataFrame) -> bool:
    """Return whether the first row, which names the columns, looks like one of the data: it recurs in its column, or is of its kind."""
    for place, name in enumerate(table.columns):
        first, column = str(name).strip(), table.iloc[:, place].dropna().astype(str).str.strip()
        if not first or column.empty:
            continue
        if (column == first).any():
            # Files that were put together one below the other hold the header again, as a whole row.
            again = table[(column == first).reindex(table.index, fill_value=False)]
            if not all(
                (again.iloc[:, other].astype(str).str.strip() == str(table.columns[other]).strip()).any() for other in range(table.shape[1])
            ):
                return True
        if any(pattern.fullmatch(first) and column.head(_SAMPLE_ROWS).str.fullmatch(pattern).all() for pattern in (_NUMBER, _DATE)):
            return True
    return False


def listing(columns: Sequence[FileColumn]) -> str:
    """Return the columns as lines, one each."""
    listed = columns[:_COLUMNS_LISTED]
    rows = [("column", "holds", "filled", "distinct")]
    rows += [(each.name or f"column {each.place}", each.kind, f"{each.filled:.0%}", f"{each.distinct:,}") for each in listed]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    lines = [f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in rows]
    return "\n".join([*lines, *([f"  and {len(columns) - len(listed)} more"] if len(columns) > len(listed) else [])])


def line_to_type(
    path: Path, sheet: str | None, columns: Sequence[FileColumn], *, texts: Sequence[str], features: Sequence[str], label: str | None
) -> str:
    """Return the command that trains on the file: the columns that were named, those that are plain, and COLUMN for others."""
    label = label or _plain([each for each in columns if each.kind == "class"], _LABEL_NAMES)
    command = f"passerelle train --data {shlex.quote(str(path))}" + (f" --sheet {shlex.quote(sheet)}" if sheet else "")
    if not texts and not features:
        guessed = _plain([each for each in columns if each.kind == "text" and each.name != label], _TEXT_NAMES)
        numbers = [each.name for each in columns if each.kind in {"number", "true or false"} and each.name not in {None, "", label}]
        if guessed is None and label and 0 < len(numbers) <= _FEATURES_NAMED and all(each.kind != "text" for each in columns):
            features = [name for name in numbers if name is not None]
        else:
            texts = [guessed or "COLUMN"]
    options = [*(f"--text-column {shlex.quote(name)}" for name in texts), *(f"--feature-column {shlex.quote(name)}" for name in features)]
    return " ".join([command, *options, f"--label-column {shlex.quote(label or 'COLUMN')}"])


def _plain(candidates: Sequence[FileColumn], usual: set[str]) -> str | None:
    """Return the name of the only candidate, or of the only one with a usual name."""
    named = [each.name for each in candidates if each.name]
    if len(named) > 1:
        named = [name for name in named if name.strip().lower() in usual]
    return named[0] if len(named) == 1 else None


def _kind(values: pd.Series) -> str:
    if values.empty:
        return "empty"
    number, distinct = len(values), int(values.astype(str).nunique())
    sample = values.head(_SAMPLE_ROWS).astype(str).str.strip()
    if pd.api.types.is_bool_dtype(values.dtype) or set(sample.str.lower()) <= _TRUTH:
        return "true or false"
    for kind, pattern in (("number", _NUMBER), ("date", _DATE)):
        if sample.str.fullmatch(pattern).all():
            return kind
    words = float(sample.str.split().map(len).mean())
    if words >= _WORDS_OF_A_TEXT and distinct > number / 2:
        return "text"
    if 1 < distinct <= number / _ROWS_OF_A_CLASS:
        return "class"
    return "identifier" if distinct == number and words == 1 else "words"


def _is_name(name: str, kind: str) -> bool:
    """Return whether this is a column's name, and surely not a text of a row in its place."""
    words = len(name.split())
    if not name:
        return True
    if not name.isprintable() or len(name) > _LONGEST_NAME or words > _MOST_WORDS or name.rstrip().endswith((".", "!", "?", "…")):
        return False
    return words <= _WORDS_OF_A_TEXT or kind != "text"

"""Recognise records again: the hash of a row's normalised content, which training logs for all rows that a model learned from."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pandas as pd

_NOT_A_WORD = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """Return the text's letters and digits: NFKD without accents, case folded, one space for all else."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return _NOT_A_WORD.sub(" ", letters.casefold()).strip() or text.strip()


def row_hashes(records: pd.DataFrame) -> list[str]:
    """Return `sha256:…` of each record's fields, joined by the unit separator; those of records that hold texts alone are normalised."""
    written = normalise if _only_texts(records) else str
    rows = ["\x1f".join(map(written, row)) for row in records.to_dict(orient="split")["data"]]
    return [f"sha256:{hashlib.sha256(row.encode('utf-8', 'surrogatepass')).hexdigest()}" for row in rows]


def _only_texts(records: pd.DataFrame) -> bool:
    return all(isinstance(value, str) for column in records.columns for value in records[column])

"""Recognise records again: the hash of a row's normalised content, which training logs for all rows that a model learned from."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pandas as pd

TEXT = "text"
_NOT_A_WORD = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """Return the text's letters and digits: NFKD without accents, case folded, one space for all else."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return _NOT_A_WORD.sub(" ", letters.casefold()).strip() or text.strip()


def row_hashes(records: pd.DataFrame) -> list[str]:
    """Return `sha256:…` of each record's normalised text, or of its fields joined by the unit separator."""
    if list(records.columns) == [TEXT]:
        rows = [normalise(text) for text in records[TEXT]]
    else:
        rows = ["\x1f".join(map(str, row)) for row in records.to_dict(orient="split")["data"]]
    return [f"sha256:{hashlib.sha256(row.encode('utf-8', 'surrogatepass')).hexdigest()}" for row in rows]

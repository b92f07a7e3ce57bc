"""Parts of the held-out rows on which a model may be weak: each by a rule on the record or on its label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_SHORT_CHARACTERS = 60
_MOSTLY = 0.6
_LETTERS = re.compile(r"[^\W\d_]")


def slices_of(records: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Return the rows of each slice that the records' texts have; none for records without text."""
    texts = [column for column in records.columns if pd.api.types.is_string_dtype(records[column])]
    if not texts:
        return {}
    joined = records[texts].astype(str).agg(" ".join, axis=1)
    return {name: np.array([rule(text) for text in joined], dtype=np.bool_) for name, rule in SLICES.items()}


def _capitals(text: str) -> bool:
    letters = _LETTERS.findall(text)
    return bool(letters) and sum(letter.isupper() for letter in letters) / len(letters) > _MOSTLY


def _without_accents(text: str) -> bool:
    return not any(unicodedata.combining(letter) for letter in unicodedata.normalize("NFD", text))


SLICES: Mapping[str, Callable[[str], bool]] = {
    "short": lambda text: len(text) < _SHORT_CHARACTERS,
    "capitals": _capitals,
    "no_accents": _without_accents,
}

"""Groups of a data set's records that are nearly the same, so that no split separates them."""

from __future__ import annotations

from passerelle.gate.near_duplicates import Positions, groups_of_rows, groups_of_texts
from passerelle.gate.row_hashes import normalise, row_hashes
from passerelle.training.dataset import Dataset

__all__ = ["groups_of", "normalise", "row_hashes"]


def groups_of(data: Dataset, *, similarity: float) -> Positions:
    """Return a group number for each record: the same for near-duplicates, directly or through others.

    Args:
        data: Texts are compared by the cosine of their character 5-grams, several of a record as one; rows of a table must be equal.
        similarity: Cosine from which two texts count as the same, from 0 to 1.
    """
    if data.kind == "tabular":
        return groups_of_rows(data.records)
    return groups_of_texts(list(data.joined_texts), similarity=similarity)

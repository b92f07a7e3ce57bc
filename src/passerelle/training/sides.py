"""Which groups of records are held out: decided by the hash of their content, so that old rows keep their side when rows are added."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from passerelle.gate.row_hashes import row_hashes

#: The held-out set of a project's first training; `--refresh-held-out` takes the next number.
FIRST = 1
#: A larger group is a petition, which would fill the held-out set with one text.
MOST_COPIES = 20
_BITS = 64
_LAST = 2.0


def held_out_rows(
    records: pd.DataFrame, labels: NDArray[np.str_], groups: NDArray[np.int64], *, folds: int, number: int
) -> NDArray[np.bool_]:
    """Return which rows are held out: about one in `folds`, whatever the seed and the order of the rows.

    Each row has a place from 0 to 1, the hash of its content with the number of the held-out set. A group has the place of its last
    row, and is held out below 1 / `folds`. So a group on the training side stays there whatever rows are added, also where one joins
    two groups; a held-out group leaves the set only with a near-duplicate that belongs to the training side. Two rules come on top:

    - A group of more than `MOST_COPIES` rows is learned from.
    - A class of which no group is held out gives its first one, and at least `folds` groups of each class are learned from. With a
      dozen distinct rows or more this changes next to nothing; in a smaller class an added row may put an old one on the other side.

    Args:
        records: One row a record.
        labels: One a record.
        groups: Group number of each record; near-duplicates share one.
        folds: That the rows to learn from are divided into; each class has more groups than this.
        number: Of the held-out set: another one is another choice of rows.
    """
    places = _places_of_groups(records, groups, number)
    of_class = _groups_of_classes(labels, groups, places)
    chosen = {group for group, place in places.items() if place * folds < 1}
    for _ in of_class:  # a group of two classes may be given by the one and taken back by the other
        before = set(chosen)
        for candidates in of_class.values():
            if not chosen.intersection(candidates):
                chosen.add(candidates[0])
            inside = [group for group in candidates if group in chosen]
            chosen.difference_update(inside[max(len(candidates) - folds, 1) :])
        if chosen == before:
            break
    return np.isin(groups, list(chosen))


def _places_of_groups(records: pd.DataFrame, groups: NDArray[np.int64], number: int) -> Mapping[int, float]:
    places, sizes = np.zeros(int(groups.max()) + 1), np.bincount(groups)
    np.maximum.at(places, groups, [_place(content, number) for content in row_hashes(records)])
    places[sizes > MOST_COPIES] = _LAST
    return {int(group): float(places[group]) for group in np.unique(groups)}


def _place(content: str, number: int) -> float:
    digest = hashlib.sha256(f"held-out rows {number}\n{content}".encode()).digest()
    return int.from_bytes(digest[: _BITS // 8], "big") / float(2**_BITS)


def _groups_of_classes(labels: NDArray[np.str_], groups: NDArray[np.int64], places: Mapping[int, float]) -> Mapping[str, Sequence[int]]:
    """Return the groups of each class by their places, the class with the fewest first."""
    found: dict[str, set[int]] = defaultdict(set)
    for label, group in zip(labels.tolist(), groups.tolist(), strict=True):
        found[label].add(group)
    ordered = {label: sorted(found[label], key=lambda group: (places[group], group)) for label in sorted(found)}
    return dict(sorted(ordered.items(), key=lambda each: len(each[1])))

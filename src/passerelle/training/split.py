"""The held-out test set and the folds, with every class in each and never between near-duplicates."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from passerelle.errors import DataError
from passerelle.training.dataset import Dataset
from passerelle.training.groups import groups_of
from passerelle.training.params import Params
from passerelle.training.rare_classes import class_shown, distinct_rows
from passerelle.training.sides import FIRST, held_out_rows

_CLASSES_NAMED = 5
#: Divisions that are tried, each with a seed of its own: with classes of a few rows, the first one may miss a class in a part.
_ATTEMPTS = 5
_NEXT_SEED = 7_919


@dataclass(frozen=True)
class Split:
    """Positions in the data.

    Attributes:
        train: Records to learn from; every choice is made on them.
        held_out: Records that no choice sees.
        folds: For each fold, the positions *within* `train` to fit on and to score.
        groups: Group number of every record of the data; near-duplicates share one.
    """

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    folds: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
    groups: NDArray[np.int64]


def split(data: Dataset, *, params: Params, seed: int, groups: NDArray[np.int64] | None = None, held_out_set: int = FIRST) -> Split:
    """Return the held-out test set, about one record in `folds`, and the folds of the rest.

    Args:
        seed: Of the folds; what is held out does not depend on it.
        groups: Group number of each record, where they are known already.
        held_out_set: Number of the held-out set, as of `held_out_rows`.

    Raises:
        DataError: A class has too few distinct records to be in every part.
    """
    if groups is None:
        groups = groups_of(data, similarity=params.near_duplicate_similarity)
    labels = data.labels.to_numpy(dtype=str)
    _check_sizes(data, labels, groups, params)
    chosen = held_out_rows(data.records, labels, groups, folds=params.folds, number=held_out_set)
    train, held_out = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    for attempt in range(_ATTEMPTS):
        folds = tuple(_parts(labels[train], groups[train], params.folds, seed + attempt * _NEXT_SEED))
        if _everywhere(labels, [train, held_out, *(train[fit] for fit, _ in folds)]):
            return Split(train=train, held_out=held_out, folds=folds, groups=groups)
    fewest = min(distinct_rows(labels, groups).values())
    raise DataError(
        f"{data.source}: near-duplicates leave no split that has every class in every part; "
        "add records to the smallest classes, or leave them out",
        hint=f"passerelle train --min-class-rows {fewest + 1}\npasserelle train --min-class-rows {fewest + 1} --other NAME",
    )


def _parts(labels: NDArray[np.str_], groups: NDArray[np.int64], folds: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    folding = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than folds; what matters is checked afterwards
        return [(fit.astype(np.int64), score.astype(np.int64)) for fit, score in folding.split(labels, labels, groups)]


def _everywhere(labels: NDArray[np.str_], parts: list[NDArray[np.int64]]) -> bool:
    classes = set(labels)
    return all(set(labels[part]) == classes for part in parts)


def _check_sizes(data: Dataset, labels: NDArray[np.str_], groups: NDArray[np.int64], params: Params) -> None:
    rows, distinct, fewest = Counter(map(str, labels)), distinct_rows(labels, groups), params.fewest_per_class
    small = sorted((label for label in rows if distinct[label] < fewest), key=lambda label: (distinct[label], label))
    if not small:
        return
    named = ", ".join(f"{class_shown(label)} has {rows[label]} ({distinct[label]} distinct)" for label in small[:_CLASSES_NAMED])
    more = f", and {len(small) - _CLASSES_NAMED} more classes" if len(small) > _CLASSES_NAMED else ""
    raise DataError(
        f"{data.source}: a class needs at least {fewest} distinct records "
        f"({params.folds} folds and the held-out test set); {named}{more}: {sum(rows[label] for label in small):,} of {len(labels):,} rows "
        f"in {len(small)} of {len(rows)} classes; add records to these classes, leave them out, or put them together as one",
        hint=f"passerelle train --min-class-rows {fewest}\npasserelle train --min-class-rows {fewest} --other NAME",
    )

"""What becomes of classes with few rows: left out, or put together as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from passerelle.errors import DataError, UsageError
from passerelle.names import MIN_CLASS_ROWS, OTHER_CLASS
from passerelle.training.dataset import Dataset, digest_of

_CLASSES_NAMED = 5
_LONGEST_CLASS = 80


@dataclass(frozen=True)
class RareClasses:
    """Which classes are rare, and what becomes of them.

    Attributes:
        min_rows: Fewest distinct rows of a class that stays as it is; near-duplicates count once. 0 keeps every class.
        other: Class that the rows of rare ones get; None leaves them out.
    """

    min_rows: int = 0
    other: str | None = None

    def __post_init__(self) -> None:
        if self.other is not None and not (self.min_rows and self.other.strip()):
            message = "--other names the class that rare ones are put together as, and --min-class-rows says which are rare"
            raise UsageError(message, hint="passerelle train --min-class-rows 6 --other NAME")

    @property
    def tags(self) -> Mapping[str, str]:
        """What a training's runs say of it."""
        other = {OTHER_CLASS: self.other} if self.other is not None else {}
        return {MIN_CLASS_ROWS: str(self.min_rows), **other} if self.min_rows else {}


ALL_CLASSES = RareClasses()


def class_shown(name: str) -> str:
    """Return a class as a message names it; what is as long as a text might be one, and is not shown."""
    return f"'{name}'" if len(name) <= _LONGEST_CLASS and name.isprintable() else f"a class whose name has {len(name)} characters"


def without_rare(data: Dataset, groups: NDArray[np.int64], rare: RareClasses) -> tuple[Dataset, NDArray[np.int64], tuple[str, ...]]:
    """Return the data without its rare classes, the groups of the rows that stay, and what was done to how many rows.

    Args:
        data: All rows.
        groups: Group number of each row; near-duplicates share one.
        rare: What becomes of which classes.

    Raises:
        DataError: Fewer than two classes are left.
    """
    labels = data.labels.to_numpy(dtype=str)
    rows, distinct = Counter(map(str, labels)), distinct_rows(labels, groups)
    small = sorted((name for name in rows if distinct[name] < rare.min_rows and name != rare.other), key=lambda name: (-rows[name], name))
    if not small:
        return data, groups, ()
    touched = np.isin(labels, small)
    named = ", ".join(f"{class_shown(name)} ({rows[name]:,})" for name in small[:_CLASSES_NAMED])
    more = f" and {len(small) - _CLASSES_NAMED} more" if len(small) > _CLASSES_NAMED else ""
    what = f"{len(small)} classes with fewer than {rare.min_rows} distinct rows"
    if rare.other is not None:
        joins = f", which has {rows[rare.other]:,} rows of its own" if rows[rare.other] else ""
        note = f"{what} are put together as '{rare.other}'{joins}: {int(touched.sum()):,} of {len(labels):,} rows"
        found = replace(data, labels=data.labels.mask(touched, rare.other))
    else:
        note = f"{what} are left out: {int(touched.sum()):,} of {len(labels):,} rows"
        keep = ~touched
        found = replace(data, records=data.records[keep].reset_index(drop=True), labels=data.labels[keep].reset_index(drop=True))
        groups = groups[keep]
    if len(found.classes) < 2:  # noqa: PLR2004 - a choice is between two
        raise DataError(f"{data.source}: {what}, and {len(found.classes)} is left", hint="passerelle train --min-class-rows NUMBER")
    return replace(found, digest=digest_of(found.records, found.labels, found.optional_texts)), groups, (f"{note}: {named}{more}",)


def distinct_rows(labels: NDArray[np.str_], groups: NDArray[np.int64]) -> Counter[str]:
    """Return how many distinct rows each class has; near-duplicates count once."""
    return Counter(label for label, _ in set(zip(map(str, labels), groups.tolist(), strict=True)))

"""What a training will do with the data, and whether it can: the dry run and the real one ask the same function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from passerelle.gate.reference import ReferenceRows
from passerelle.names import HELD_OUT_SET, REFERENCE_DIGEST
from passerelle.training.dataset import Dataset
from passerelle.training.groups import groups_of, row_hashes
from passerelle.training.params import Params
from passerelle.training.rare_classes import ALL_CLASSES, RareClasses, without_rare
from passerelle.training.reference_rows import LeftOut, without_reference
from passerelle.training.sides import FIRST
from passerelle.training.split import Split, split


@dataclass(frozen=True)
class PreparedRows:
    """The rows that a training would learn from and be scored on.

    Attributes:
        groups: Group number of each row; None where nothing needed them yet.
        rare: What became of rare classes.
        notes: What was assumed about the file, and what was done to how many rows.
        left_out: What was left out for the reference; None without one.
    """

    data: Dataset
    groups: NDArray[np.int64] | None = None
    rare: RareClasses = ALL_CLASSES
    notes: tuple[str, ...] = ()
    left_out: LeftOut | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """A training that can be made.

    Attributes:
        data: What it learns from.
        parts: Which rows are held out, and the folds of the others.
        rare: What became of rare classes.
        notes: What is to be known about the rows before.
        held_out_set: Number of the held-out set.
        left_out: What was left out for the reference; None without one.
    """

    data: Dataset
    parts: Split
    rare: RareClasses = ALL_CLASSES
    notes: tuple[str, ...] = ()
    held_out_set: int = FIRST
    left_out: LeftOut | None = None

    @property
    def tags(self) -> Mapping[str, str]:
        """What a training's runs say of which rows it learned from."""
        return row_tags(self.rare, self.held_out_set, self.left_out)


def row_tags(rare: RareClasses, held_out_set: int, left_out: LeftOut | None) -> dict[str, str]:
    """Return what a training's runs say of which rows it learned from."""
    return {**rare.tags, HELD_OUT_SET: str(held_out_set), **({REFERENCE_DIGEST: left_out.digest} if left_out else {})}


def prepare(data: Dataset, *, params: Params, rare: RareClasses = ALL_CLASSES, reference: ReferenceRows | None = None) -> PreparedRows:
    """Return the data once near-duplicates of the reference are left out, and rare classes are left out or put together.

    Raises:
        DataError: Fewer than two classes are left.
    """
    similarity, left_out, before = params.near_duplicate_similarity, None, data.notes
    if reference is not None:
        data, left_out, noted = without_reference(data, reference, similarity=similarity)
        before = (*before, *noted)
    if not rare.min_rows:
        return PreparedRows(data, notes=before, left_out=left_out)
    found, groups, notes = without_rare(data, groups_of(data, similarity=similarity), rare)
    return PreparedRows(found, groups, rare, (*before, *notes), left_out)


def plan_of(rows: PreparedRows, *, params: Params, seed: int, held_out_set: int = FIRST) -> TrainingPlan:
    """Return how the rows are divided, and what is to be known about them.

    Raises:
        DataError: A class has too few distinct records to be in every part; names each command that would help.
    """
    data = rows.data
    groups = rows.groups if rows.groups is not None else groups_of(data, similarity=params.near_duplicate_similarity)
    parts = split(data, params=params, seed=seed, groups=groups, held_out_set=held_out_set)
    return TrainingPlan(data, parts, rows.rare, (*rows.notes, *_repetitions(data, groups)), held_out_set, rows.left_out)


def _repetitions(data: Dataset, groups: NDArray[np.int64]) -> tuple[str, ...]:
    """Say how many rows repeat another one, word for word or nearly."""
    number = len(data.records)
    repeated = number - len(set(row_hashes(data.records)))
    nearly = number - int(np.unique(groups).size) - repeated
    if repeated + nearly <= 0:
        return ()
    counts = [f"{repeated:,} word for word"] * (repeated > 0) + [f"{nearly:,} nearly"] * (nearly > 0)
    return (f"rows that repeat another one: {', '.join(counts)}; they stay with it, held out or in one fold",)

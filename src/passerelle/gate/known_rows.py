"""What a version's training knew: the label of each row, by the row's hash, so that two trainings can be asked where they contradict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.gate.held_out import LABEL, VersionFiles, held_out, train_hashes
from passerelle.gate.row_hashes import row_hashes
from passerelle.names import TRAIN_HASHES
from passerelle.registry.client import Registry

_GROUP = "group"
Known = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Contradictions:
    """Rows that two sources know, and label differently.

    Attributes:
        source: The other one, for people.
        shared: Rows that both know.
        contradicting: Those among them that have no label in common.
        pairs: The labels of most of those, ours and theirs, with their rows.
    """

    source: str
    shared: int
    contradicting: int
    pairs: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True)
class AgainstReference:
    """What a training did about the reference.

    Attributes:
        digest: Of the reference.
        left_out: Rows that it left out, as near-duplicates.
        contradicting: Those among them that have another label.
    """

    digest: str
    left_out: int
    contradicting: int


def labels_known(registry: Registry, files: VersionFiles, folder: Path) -> Known:
    """Return the labels of each row of a version's training, held out or learned from, as far as it stored them."""
    found: dict[str, set[str]] = {}
    try:
        table = held_out(registry, files, folder)
        _add(found, row_hashes(table.drop(columns=[LABEL, _GROUP], errors="ignore")), table[LABEL].astype(str))
        if train_hashes(registry, files, folder) is not None:
            content = json.loads((folder / TRAIN_HASHES).read_bytes())
            _add(found, content["rows"], map(str, content.get("labels", ())))
    except (NotFoundError, IntegrityError, OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # What cannot be read is refused where the rows are judged by; here nothing is known of it.
    return {row: frozenset(labels) for row, labels in found.items()}


def labels_of_rows(records: pd.DataFrame, labels: Iterable[object]) -> Known:
    """Return the labels of each of these rows."""
    found: dict[str, set[str]] = {}
    _add(found, row_hashes(records), map(str, labels))
    return {row: frozenset(of) for row, of in found.items()}


def contradictions(ours: Known, theirs: Known, *, source: str) -> Contradictions:
    """Return how many rows both know, and how many of them they label differently."""
    shared = ours.keys() & theirs.keys()
    against = [row for row in shared if not ours[row] & theirs[row]]
    counts: dict[tuple[str, str], int] = {}
    for row in against:
        pair = (min(ours[row]), min(theirs[row]))
        counts[pair] = counts.get(pair, 0) + 1
    most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:4]
    return Contradictions(source, len(shared), len(against), tuple((*pair, rows) for pair, rows in most))


def against_reference(folder: Path) -> AgainstReference | None:
    """Return what a training that stored its hashes in this folder did about a reference; None where it knew none."""
    try:
        of = json.loads((folder / TRAIN_HASHES).read_bytes())["reference"]
        return AgainstReference(str(of["digest"]), int(of["left_out"]), int(of["contradicting"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _add(found: dict[str, set[str]], rows: Iterable[str], labels: Iterable[str]) -> None:
    for row, label in zip(rows, labels, strict=False):
        found.setdefault(row, set()).add(label)

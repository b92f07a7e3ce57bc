"""How the answers of two models to the same records differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from passerelle.errors import TRAIN_AGAIN, IntegrityError
from passerelle.gate.perturbations import Case, Record
from passerelle.model.answer import ScoredRow
from passerelle.model.golden import MOST_TOLERANCE

#: What a model says of records, in the order of its classes.
Rows = Callable[[Sequence[Record]], Sequence[ScoredRow]]
_BATCH = 500


@dataclass(frozen=True)
class Agreement:
    """How two models differ; no text of a record is in it.

    Attributes:
        records: That both were asked about.
        labels: Records that get another label, where the first model is not in two minds within the tolerance.
        largest: Largest difference of a probability; 0 without probabilities.
        differing: Records that differ by the label, or by more than the tolerance.
        row: Number of the row that the first of those was made of, from 1; None where none differs.
        change: What was done to that row.
    """

    records: int
    labels: int = 0
    largest: float = 0.0
    differing: int = 0
    row: int | None = None
    change: str = ""


def agreement_of(
    one: tuple[Sequence[object], Rows],
    other: tuple[Sequence[object], Rows],
    cases: Sequence[Case],
    *,
    tolerance: float = MOST_TOLERANCE,
) -> Agreement:
    """Return how two models differ on these records.

    Args:
        one: Its classes, and what it says of records.
        other: Likewise; a class that only one of the two has is one more difference.
        tolerance: Of a probability.

    Raises:
        IntegrityError: One of the two does not predict a record.
    """
    labels = differing = 0
    largest, first = 0.0, None
    for begin in range(0, len(cases), _BATCH):
        part = cases[begin : begin + _BATCH]
        records = [case.record for case in part]
        answers = [_answers(rows, records, part) for rows in (one[1], other[1])]
        for case, ours, theirs in zip(part, *answers, strict=True):
            gap = _gap(one[0], ours, other[0], theirs)
            relabelled = str(one[0][ours.label_index]) != str(other[0][theirs.label_index]) and not _in_two_minds(ours, tolerance)
            labels += relabelled
            largest = max(largest, gap)
            if relabelled or gap > tolerance:
                differing += 1
                first = first or case
    return Agreement(len(cases), labels, largest, differing, first.row if first else None, first.change if first else "")


def _answers(rows: Rows, records: Sequence[Record], cases: Sequence[Case]) -> Sequence[ScoredRow]:
    try:
        return rows(records)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        # The message of scikit-learn quotes the record.
        message = f"the model predicts nothing for some of the rows {cases[0].row} to {cases[-1].row} ({cases[-1].change})"
        raise IntegrityError(f"{message}: {type(error).__name__}", hint=TRAIN_AGAIN) from None


def _gap(classes: Sequence[object], ours: ScoredRow, other_classes: Sequence[object], theirs: ScoredRow) -> float:
    if (ours.probabilities is None) != (theirs.probabilities is None):
        return 1.0
    if ours.probabilities is None or theirs.probabilities is None:
        return 0.0
    one = dict(zip(map(str, classes), ours.probabilities, strict=True))
    other = dict(zip(map(str, other_classes), theirs.probabilities, strict=True))
    gaps = [abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in one.keys() | other.keys()]
    return max(gaps) if all(map(math.isfinite, gaps)) else 1.0


def _in_two_minds(row: ScoredRow, tolerance: float) -> bool:
    """Return whether rounding may exchange the two most probable classes."""
    if row.probabilities is None or len(row.probabilities) < 2:  # noqa: PLR2004
        return False
    second, first = sorted(row.probabilities)[-2:]
    return first - second <= tolerance

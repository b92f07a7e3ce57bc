"""Label the same rows with two versions, and count where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from passerelle.batch.scored_split import Scoring, predictions
from passerelle.batch.split_rows import RowFault, rows_of
from passerelle.batch.table_plan import TablePlan, TableSplit
from passerelle.model.answer import label_text
from passerelle.model.version_differences import MOST_EXAMPLES, DifferentRow, PairCount, VersionDifferences

_LONGEST_TEXT = 240


def version_differences(
    plans: Sequence[TablePlan],
    registered_model: str,
    versions: tuple[int, int],
    scorings: tuple[Scoring, Scoring],
    *,
    redact: Callable[[str], str],
    progress: Callable[[str], None],
) -> VersionDifferences:
    """Return where two versions label the rows of a table differently.

    Args:
        plans: The files of the table.
        versions: The one that is compared with, and the new one.
        scorings: By them.
        redact: Takes personal data out of a text.
        progress: Told how far the work is.

    Raises:
        DataError: As `rows_of`.
    """
    tally = _Tally(redact)
    for plan in plans:
        for split in plan.splits:
            _compare(split, scorings, tally)
            progress(f"{split.file.name}: {split.first_row + split.rows - 1:,} of {plan.rows:,} rows")
    pairs = tuple(PairCount(*labels, rows) for labels, rows in sorted(tally.pairs.items(), key=lambda each: (-each[1], each[0])))
    return VersionDifferences(
        registered_model, *versions, tally.rows, sum(tally.pairs.values()), tally.refused_rows, pairs, tuple(tally.examples)
    )


class _Tally:
    def __init__(self, redact: Callable[[str], str]) -> None:
        self.redact = redact
        self.rows = self.refused_rows = 0
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.examples: list[DifferentRow] = []


def _compare(split: TableSplit, scorings: tuple[Scoring, Scoring], tally: _Tally) -> None:
    former, new = scorings
    first = split.first_row
    for rows in rows_of(split, new.model.description.columns, ()):
        cells = [row for row in rows if not isinstance(row, RowFault)]
        numbers = [number for number, row in enumerate(rows, first) if not isinstance(row, RowFault)]
        read = list(zip(numbers, former.read_records(cells), new.read_records(cells), strict=True))
        read = [each for each in read if not any(isinstance(record, RowFault) for record in each)]
        records = [[cast("Mapping[str, Any]", each[side]) for each in read] for side in (1, 2)]
        labels = zip(predictions(former.model, records[0])[0], predictions(new.model, records[1])[0], strict=True)
        tally.refused_rows += len(rows) - len(read)
        for (number, _, _), record, (before, after) in zip(read, records[1], labels, strict=True):
            if before is None or after is None:
                tally.refused_rows += 1
                continue
            tally.rows += 1
            pair = (label_text(former.model.labels[before]), label_text(new.model.labels[after]))
            if pair[0] != pair[1]:
                tally.pairs[pair] += 1
                if len(tally.examples) < MOST_EXAMPLES:
                    tally.examples.append(DifferentRow(split.file.name, number, _text(record, tally.redact), *pair))
        first += len(rows)


def _text(record: Mapping[str, Any], redact: Callable[[str], str]) -> str:
    """Return what a record says, redacted before it is cut: half a number would not be found."""
    text = redact(" · ".join(str(value) for value in record.values()))
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT].rstrip() + "…"

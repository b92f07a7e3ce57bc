"""The rows that a version is judged by: those its training held out, those an operator gives, or those that were given before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from passerelle.errors import DataError, NotFoundError
from passerelle.gate.class_names import ClassNames
from passerelle.gate.held_out import LABEL, VersionFiles, held_out
from passerelle.gate.kept_rows import kept_rows
from passerelle.gate.labelled_rows import LabelledRows, digest_of_rows, fitted
from passerelle.gate.promote_hints import promote_command
from passerelle.gate.scores import Labels
from passerelle.gate.task_scores import MEASURED
from passerelle.model.mlmodel import describe
from passerelle.registry.client import Registry

_GROUP = "group"


@dataclass(frozen=True)
class JudgedRows:
    """Rows to judge by.

    Attributes:
        records: Without their right answers.
        answers: The right answers: texts of a training's own rows, else a column for each label or output.
        given: The rows as an operator gave them, now or earlier; None of those that a training held out.
        digest: Of the file of the given rows; None of those that a training held out.
        run_id: The run that keeps the given rows already; None of those that are given now.
        kept_digest: Of the file in that run.
    """

    records: pd.DataFrame
    answers: pd.DataFrame
    given: LabelledRows | None = None
    digest: str | None = None
    run_id: str | None = None
    kept_digest: str | None = None

    def part(self, rows: NDArray[np.bool_]) -> JudgedRows:
        """Return some of the rows."""
        records, answers = (table[rows].reset_index(drop=True) for table in (self.records, self.answers))
        return JudgedRows(records, answers, self.given, self.digest, self.run_id, self.kept_digest)

    def truth(self, names: ClassNames) -> Labels:
        """Return the right label of each row, as a text of a model's classes.

        Raises:
            DataError: None of the labels is a class of the model.
        """
        values = self.answers.iloc[:, 0].tolist()
        if self.given is None:
            return np.asarray(values, dtype=str)
        typed = self.given.typed
        if all(names.place_of(value, typed=typed) is None for value in values):
            found = ClassNames.of(sorted(set(values), key=str), {})
            column = self.given.labels[0]
            message = f"no label in the column '{column}' of {self.given.source} is one of the model's: it has {names}, the rows {found}"
            raise DataError(message, hint="passerelle promote --held-out FILE --label COLUMN")
        return names.texts_of(values, typed=typed)


def judged_rows(
    registry: Registry, ours: VersionFiles, theirs: VersionFiles | None, folder: Path, given: LabelledRows | None
) -> JudgedRows | None:
    """Return the rows to judge a challenger by; None for an adopted one for which there are none.

    Args:
        folder: Gets files.
        given: What the operator gave.

    Raises:
        DataError: The given rows do not fit the model's signature.
        NotFoundError: The training of a challenger that was not adopted stored none.
        IntegrityError: Rows are not those that were recorded.
    """
    if given is None and ours.adoption is None:
        return _of_training(registry, ours, folder / "challenger")
    columns = describe(ours.folder).columns
    if given is not None:
        if ours.task not in {"classification", *MEASURED}:
            message = f"labelled rows do not judge {ours.ref}: of a model whose task is {ours.task}, latency, size and memory are measured"
            raise DataError(message, hint=f"{promote_command(ours.ref)} --accept unjudged --reason REASON")
        rows = fitted(given, columns)
        return JudgedRows(rows.records, rows.answers, rows, digest_of_rows(rows.content()))
    for files, name in ((ours, "challenger"), (theirs, "champion")):
        kept = kept_rows(registry, files.ref, folder / name) if files else None
        if kept is not None:
            try:
                rows = fitted(kept.rows, columns)
            except DataError:
                continue
            digest = kept.digest if files is ours else digest_of_rows(rows.content())
            return JudgedRows(rows.records, rows.answers, rows, digest, kept.run_id, kept.digest)
    if theirs is None or theirs.adoption is not None:
        return None
    try:
        of_champion = _of_training(registry, theirs, folder / "champion")
    except NotFoundError:
        return None
    return of_champion if {column.name for column in columns if column.required} <= set(of_champion.records.columns) else None


def _of_training(registry: Registry, files: VersionFiles, folder: Path) -> JudgedRows:
    table = held_out(registry, files, folder)
    return JudgedRows(table.drop(columns=[LABEL, _GROUP], errors="ignore"), table[[LABEL]])

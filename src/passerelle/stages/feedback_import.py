"""Take corrections from a table that a person filled in."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from passerelle.errors import DataError, UsageError, shell_word
from passerelle.log_settings import LogSettings, check_log
from passerelle.model.prediction_id import day_of, is_prediction_id
from passerelle.monitoring.prediction_log.content import LoggedContent
from passerelle.monitoring.prediction_log.content_rules import rules_of
from passerelle.monitoring.prediction_log.corrections import chosen_rows
from passerelle.monitoring.prediction_log.erasures import erased_ids
from passerelle.monitoring.prediction_log.log_file import FEEDBACK, FileLimits, LogFile, worker_name
from passerelle.monitoring.prediction_log.log_place import LogPlace
from passerelle.monitoring.prediction_log.partitions import logged_days, read_feedback
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from passerelle.monitoring.prediction_log.trees import PREDICTIONS
from passerelle.stages.context import Context, stage
from passerelle.stages.log_location import log_location
from passerelle.training.reading import read_table

_ID, _LABEL, _COMMENT = "prediction_id", "label", "comment"
_MODEL = "registered_model"
_ROWS_NAMED = 10
_LONGEST = {_LABEL: 300, _COMMENT: 2_000}
_KEY_NAME = "feedback import"
_ONE_FILE = FileLimits(most_bytes=2**40, most_age_s=1e9)


@dataclass(frozen=True)
class ImportedFeedback:
    """What became of the rows of a table.

    Attributes:
        rows: That have a label.
        new: That were written.
        repeated: That the log holds already, with the same label by the same person.
        unknown: Of the new ones, those about answers that are not in the log: that of another replica may still come.
        erased: About answers that a person had erased; left out.
        blank: Rows without a label; left out.
        notes: What was assumed about the file, one sentence each.
    """

    path: Path
    by: str
    rows: int
    new: int
    repeated: int
    unknown: int
    erased: int
    blank: int
    notes: tuple[str, ...]
    dry_run: bool = False


class _Row(NamedTuple):
    prediction_id: str
    label: str
    comment: str | None


@stage
def run(
    context: Context, path: Path, *, by: str, new_labels: Collection[str] = (), registered_model: str | None = None, dry_run: bool = False
) -> ImportedFeedback:
    """Return what was taken from a table; nothing of it where a row is wrong, and nothing the second time.

    Args:
        path: CSV or Parquet with the columns `prediction_id`, `label` and perhaps `comment`, in each form that `train` reads.
        by: Who corrected.
        new_labels: Labels to accept though no answer of the same model in the log has them.
        registered_model: Whose answers they are; an answer of another one is refused.

    Raises:
        DataError: The table cannot be read, or rows are wrong; names them by number, without their content.
        UsageError: Nobody is named.
        OutsideError: The log cannot be read or written.
    """
    if not by.strip():
        raise UsageError("who corrected the answers is not said", hint=f"passerelle feedback import {shell_word(path)} --by NAME")
    rows, blank, notes = _read(path)
    location = log_location(context)
    place = location.place
    models = _models(path, place, rows, registered_model)
    _check_labels(path, rows, models, _known_labels(place), new_labels)
    erased = _erased(place, rows) & {row.prediction_id for row in rows}
    given = _given(place, rows, by)
    fresh = [row for row in rows if row.prediction_id not in erased and given.get(row.prediction_id) != row.label]
    if fresh and not dry_run:
        _write(context, location.folder, fresh, by, models)
    return ImportedFeedback(
        path=path,
        by=by,
        rows=len(rows),
        new=len(fresh),
        repeated=len(rows) - len(fresh) - sum(row.prediction_id in erased for row in rows),
        unknown=sum(row.prediction_id not in models for row in fresh),
        erased=sum(row.prediction_id in erased for row in rows),
        blank=blank,
        notes=notes,
        dry_run=dry_run,
    )


def _read(path: Path) -> tuple[list[_Row], int, tuple[str, ...]]:
    """Return the rows with a label, how many have none, and notes."""
    table, notes = read_table(path, [_ID, _LABEL])
    columns = [name for name in (_ID, _LABEL, _COMMENT) if name in table.columns]
    cells = table[columns].astype(object).where(table[columns].notna(), None)
    texts = cells.map(lambda value: value if value is None else str(value).strip() or None)
    if _COMMENT not in columns:
        texts[_COMMENT] = None
    texts = texts.reset_index(drop=True)
    labelled = texts[texts[_LABEL].notna()]
    _check(path, labelled)
    rows = [_Row(str(row[_ID]), str(row[_LABEL]), row[_COMMENT] or None) for row in labelled.to_dict("records")]
    return rows, len(texts) - len(labelled), notes


def _check(path: Path, table: pd.DataFrame) -> None:
    """Check the rows that have a label.

    Raises:
        DataError: Some are wrong.
    """
    ids = table[_ID]
    now = datetime.now(UTC).date()
    _refuse(
        path, ~ids.map(lambda text: text is not None and is_prediction_id(text)).astype(bool), "have no prediction id as answers have it"
    )
    _refuse(path, ids.map(lambda text: day_of(text) > now).astype(bool), "have the id of a day that has not come yet")
    for column, longest in _LONGEST.items():
        lengths = table[column].map(lambda text: len(text or "")).astype(int)
        _refuse(path, lengths > longest, f"have a {column} of more than {longest} characters")
    contradicting = table.groupby(_ID)[_LABEL].transform("nunique") > 1 if len(table) else pd.Series(dtype=bool)
    _refuse(path, contradicting, "give the same answer different labels")


def _models(path: Path, place: LogPlace, rows: Sequence[_Row], registered_model: str | None) -> dict[str, str]:
    """Return the model of each answer that is in the log.

    Raises:
        DataError: A model is named, and one of them is of another.
    """
    known = chosen_rows(place, PREDICTIONS, {row.prediction_id for row in rows}, (_ID, _MODEL))
    models = {key: str(answer[_MODEL]) for key, answer in known.items()}
    others = [models[row.prediction_id] for row in rows if models.get(row.prediction_id, registered_model) != registered_model]
    if registered_model is not None and others:
        named = ", ".join(f"'{name}'" for name in sorted(set(others)))
        message = f"{path}: {len(others)} of {len(rows)} rows are about answers of {named}, not of '{registered_model}'"
        raise DataError(
            f"{message}; nothing was imported",
            hint=f"passerelle feedback import {shell_word(path)} --by NAME --model {shell_word(others[0])}",
        )
    return models


def _check_labels(
    path: Path, rows: Sequence[_Row], models: Mapping[str, str], known: Mapping[str, set[str]], new_labels: Collection[str]
) -> None:
    """Check that the model that gave an answer has the label; where the answer is not in the log, that any model has it."""
    every = set().union(*known.values())
    taken = {*new_labels, *known.get("", ())}  # of feedback on answers that were not in the log, too
    pairs = {(models.get(row.prediction_id), row.label) for row in rows}
    wrong = sorted({label for name, label in pairs if label not in taken | (every if name is None else known[name])})
    if wrong:
        named = ", ".join(f"'{label}'" for label in wrong[:_ROWS_NAMED])
        hint = f"passerelle feedback import {shell_word(path)} --by NAME --new-label LABEL"
        raise DataError(f"{path} has labels that no answer of the same model in the log has: {named}", hint=hint)


def _refuse(path: Path, wrong: pd.Series, problem: str) -> None:
    if not wrong.any():
        return
    numbers = [int(row) + 2 for row in wrong.index[wrong]]
    named = ", ".join(map(str, numbers[:_ROWS_NAMED])) + (", …" if len(numbers) > _ROWS_NAMED else "")
    message = f"{path}: {len(numbers)} rows {problem}: {named} (the header is row 1); nothing was imported"
    raise DataError(message, hint=f"passerelle feedback import {shell_word(path)} --by NAME --dry-run")


def _known_labels(place: LogPlace) -> dict[str, set[str]]:
    """Return the labels of all answers and feedback in the log, by the model that answered."""
    import pyarrow as pa  # noqa: PLC0415

    from passerelle.monitoring.prediction_log.partitions import prediction_batches  # noqa: PLC0415

    days, found = logged_days(place), dict[str, set[str]]()
    tables = [read_feedback(place, days, (_MODEL, _LABEL))]
    for batch in prediction_batches(place, days, (_MODEL, _LABEL, "second_label")):
        tables += [pa.table({_MODEL: batch.column(_MODEL), _LABEL: batch.column(name)}) for name in (_LABEL, "second_label")]
        tables = [pa.concat_tables(tables).group_by([_MODEL, _LABEL]).aggregate([])]
    for row in pa.concat_tables(tables).to_pylist():
        if row[_LABEL]:
            found.setdefault(row[_MODEL], set()).add(row[_LABEL])
    return found


def _days(rows: Sequence[_Row]) -> set[date]:
    return {day_of(row.prediction_id) for row in rows}


def _erased(place: LogPlace, rows: Sequence[_Row]) -> set[str]:
    return {prediction_id for day in _days(rows) for prediction_id in erased_ids(place, day)}


def _given(place: LogPlace, rows: Sequence[_Row], by: str) -> dict[str, str]:
    """Return the last label that this person gave each answer."""
    table = read_feedback(place, _days(rows), (_ID, "by", "at", _LABEL)).to_pylist()
    ordered = sorted((row for row in table if row["by"] == by), key=lambda row: str(row["at"]))
    return {str(row[_ID]): str(row[_LABEL]) for row in ordered}


def _write(context: Context, folder: Path, rows: Sequence[_Row], by: str, models: dict[str, str]) -> None:
    check_log(context.environment)
    content, at = LoggedContent(rules_of(LogSettings.read(context.environment))), datetime.now(UTC).isoformat(timespec="milliseconds")
    file = LogFile(folder, FEEDBACK, worker_name(time.time()), _ONE_FILE)
    for row in rows:
        registered_model = models.get(row.prediction_id, "")
        file.unwritten += content.feedback(LoggedFeedback(row.prediction_id, at, registered_model, _KEY_NAME, row.label, by, row.comment))
    file.write()
    file.close()

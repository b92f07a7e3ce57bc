"""Write the corrected answers as a training table."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from passerelle.count_of import count_of
from passerelle.errors import DataError, NotFoundError, SeveralModelsError, UsageError
from passerelle.model.manifest import digest_of_file
from passerelle.monitoring.prediction_log.corrections import Correction, Corrections, read_corrections
from passerelle.monitoring.prediction_log.exports import RegisteredExport
from passerelle.monitoring.prediction_log.log_place import LogPlace
from passerelle.monitoring.prediction_log.partitions import days_between, logged_days
from passerelle.stages.context import Context, stage
from passerelle.stages.log_location import LogLocation, log_location
from passerelle.training.feedback_table import (
    PREDICTION_ID,
    FeedbackExport,
    check_format,
    ids_digest,
    read_description,
    write_description,
    write_table,
)

LABEL, _, SOURCE = OWN_COLUMNS = ("label", PREDICTION_ID, "source")
#: No name of a category is as long.
_TEXT_CHARACTERS = 40


@dataclass(frozen=True)
class Exported:
    """A table of corrected answers.

    Attributes:
        columns: Of the record.
        changed: How many answers had another label.
        feedback: How many feedbacks were read, with those that later ones replace.
        unknown: Answers that have feedback and are not in the log.
        without_text: Corrected answers whose record is not kept.
        other_records: Answers whose feedback brought another record than the one that was answered.
        erased: Rows that a person had erased.
        created: False where the same table was there.
        are_texts: Whether the columns hold texts rather than features.
    """

    path: Path
    registered_model: str
    rows: int
    columns: tuple[str, ...]
    changed: int
    feedback: int
    unknown: int
    without_text: int
    other_records: int
    erased: int
    created: bool
    are_texts: bool = True


@stage
def run(
    context: Context,
    output: Path,
    *,
    since: date | None = None,
    until: date | None = None,
    registered_model: str | None = None,
) -> Exported:
    """Return the table that was written; a second run on the same feedback changes nothing.

    Args:
        output: CSV or Parquet file, by its end. `OUTPUT.export.json` is written beside it.
        since, until: First and last day of the answers.
        registered_model: Whose answers; needed where the log holds several.

    Raises:
        UsageError: The file is another one, or several models have corrections.
        NotFoundError: There is nothing to export.
    """
    _check_replaceable(output)
    found = _corrections(log_location(context).place, since, until)
    rows = _of_model(found.rows, registered_model)
    texts = [row for row in rows if row.fields]
    if not texts:
        raise _nothing(found, len(rows))
    columns = _columns(texts)
    return Exported(
        path=output,
        registered_model=rows[0].registered_model,
        rows=len(texts),
        columns=columns,
        changed=sum(row.label != row.answered for row in texts),
        feedback=found.feedback,
        unknown=found.unknown,
        without_text=len(rows) - len(texts),
        other_records=found.other_records,
        erased=found.reading.erased,
        created=_write(context, output, columns, texts, (since, until)),
        are_texts=len(columns) == 1 or _are_texts([value for row in texts for value in (row.fields or {}).values()]),
    )


def _corrections(place: LogPlace, since: date | None, until: date | None) -> Corrections:
    return read_corrections(place, days_of(place, since, until))


def days_of(place: LogPlace, since: date | None, until: date | None) -> tuple[date, ...]:
    """Return the logged days between two days; None for the first or the last one."""
    days = logged_days(place)
    if not days:
        return ()
    chosen = set(days_between(since or days[0], until or days[-1]))
    return tuple(day for day in days if day in chosen)


def _columns(rows: Sequence[Correction]) -> tuple[str, ...]:
    """Return the columns of the records.

    Raises:
        DataError: One of them has the name of a column of the export itself.
    """
    columns = tuple(dict.fromkeys(column for row in rows for column in row.fields or ()))
    clash = sorted(set(columns) & set(OWN_COLUMNS))
    if clash:
        raise DataError(
            f"the records of '{rows[0].registered_model}' have columns whose names an export uses for something else: {', '.join(clash)}"
        )
    return columns


def _are_texts(values: Sequence[object]) -> bool:
    """Return whether the values of several columns are texts of people's own, rather than numbers and categories."""
    lengths = [len(value) for value in values if isinstance(value, str)]
    return len(lengths) == len(values) and max(lengths, default=0) >= _TEXT_CHARACTERS


def _of_model(rows: Sequence[Correction], registered_model: str | None) -> list[Correction]:
    models = sorted({row.registered_model for row in rows})
    if registered_model is None and len(models) > 1:
        raise SeveralModelsError("answers of several models have feedback", models)
    return [row for row in rows if registered_model in (None, row.registered_model)]


def _nothing(found: Corrections, corrected: int) -> NotFoundError:
    if corrected:
        message = f"no record is kept of {count_of(corrected, 'corrected answer')}: PASSERELLE_LOG_TEXT is off, or the texts have expired"
        return NotFoundError(message, hint="export PASSERELLE_LOG_TEXT=redacted; passerelle deploy --stop; passerelle deploy")
    unknown = f"; {found.unknown} answers that have feedback are not in the log" if found.unknown else ""
    return NotFoundError(f"no answer of these days has feedback{unknown}", hint="passerelle feedback sample")


def _check_replaceable(output: Path) -> None:
    """Check that no file is lost: only an export that nobody changed is replaced.

    Raises:
        UsageError: Another file is there.
    """
    check_format(output)
    if output.exists() and read_description(output)[0] is None:
        raise UsageError(f"{output} is there already, and is not an unchanged export", hint="passerelle feedback export --output FILE")


def _write(
    context: Context, output: Path, columns: Sequence[str], rows: Sequence[Correction], days: tuple[date | None, date | None]
) -> bool:
    """Write and register the table; return whether there was another one or none before."""
    before = digest_of_file(output) if output.exists() else None
    table = [{**(row.fields or {}), LABEL: row.label, PREDICTION_ID: row.prediction_id, SOURCE: row.source} for row in rows]
    export = FeedbackExport(
        registered_model=rows[0].registered_model,
        rows=len(rows),
        file_digest=write_table(output, (*columns, *OWN_COLUMNS), table),
        ids_digest=ids_digest(row.prediction_id for row in rows),
        first_day=days[0].isoformat() if days[0] else None,
        last_day=days[1].isoformat() if days[1] else None,
        written=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if export.file_digest == before:
        return False
    write_description(output, export)
    _register(context, log_location(context), output, export)
    return True


def _register(context: Context, location: LogLocation, output: Path, export: FeedbackExport) -> None:
    """Note the export in the log, on this machine and in the bucket where there is one, so that an erasure finds it."""
    entry = RegisteredExport(output.resolve(), export.file_digest, export.written, context.author)
    with tempfile.NamedTemporaryFile() as content:
        content.write(entry.content())
        content.flush()
        for store in location.stores:
            store.add(entry.name, Path(content.name))

"""Answers with the label that a person gave them: the log's answers, texts and feedback, joined by the ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from passerelle.model.prediction_id import day_of
from passerelle.monitoring.prediction_log.log_place import LogPlace
from passerelle.monitoring.prediction_log.partitions import (
    ReadingCounts,
    batches,
    read_feedback,
    read_table,
)
from passerelle.monitoring.prediction_log.trees import FEEDBACK_TEXTS, PREDICTIONS, TEXTS, Tree

Row = dict[str, Any]
_FEEDBACK = ("prediction_id", "by", "at", "label", "record_digest")
_ANSWERS = ("prediction_id", "registered_model", "model_version", "label", "record_digest")


class Correction(NamedTuple):
    """An answer, and the label that it should have had; the same one where the feedback confirms it.

    Attributes:
        answered: The label of the answer.
        by: Who gave the right one; empty where that was not said.
        at: When, ISO 8601 in UTC.
        fields: The record, as far as it is kept: in the log, or sent again with the feedback.
        source: Where the record is from.
    """

    prediction_id: str
    label: str
    answered: str
    registered_model: str
    model_version: str
    by: str
    at: str
    fields: Mapping[str, object] | None
    source: Literal["log", "feedback"]


@dataclass
class Corrections:
    """The corrections of some days.

    Attributes:
        rows: One an answer, in the order of the ids.
        feedback: How many were read, with those that later ones replace.
        unknown: Answers that have feedback and are not in the log: that of another replica may still come.
        other_records: Answers whose feedback brought a record that is not the one that was answered; it is left out.
        reading: What the reading left out.
    """

    rows: tuple[Correction, ...] = ()
    feedback: int = 0
    unknown: int = 0
    other_records: int = 0
    reading: ReadingCounts = field(default_factory=ReadingCounts)


def read_corrections(place: LogPlace, days: Iterable[date]) -> Corrections:
    """Return the corrections of the answers of these days; of several about one answer, the latest.

    Raises:
        OutsideError: A file cannot be read; names it.
        IntegrityError: A list of erased ids is damaged.
    """
    found = Corrections()
    given = read_feedback(place, days, _FEEDBACK, counts=found.reading).to_pylist()
    latest: dict[str, Row] = {}
    for row in sorted(given, key=lambda row: (row["at"], row["by"], row["label"])):
        latest[row["prediction_id"]] = row
    answers = chosen_rows(place, PREDICTIONS, latest, _ANSWERS)
    texts = {key: row["fields"] for key, row in chosen_rows(place, TEXTS, latest, ("prediction_id", "fields")).items()}
    lacking = {key: answer["record_digest"] for key, answer in answers.items() if texts.get(key) is None}
    sent_again, others = _records_of_feedback(place, given, lacking)
    rows = []
    for prediction_id in sorted(answers):
        answer, feedback = answers[prediction_id], latest[prediction_id]
        fields = texts.get(prediction_id) or sent_again.get(prediction_id)
        rows.append(
            Correction(
                prediction_id=prediction_id,
                label=feedback["label"],
                answered=answer["label"],
                registered_model=answer["registered_model"],
                model_version=answer["model_version"],
                by=feedback["by"] or "",
                at=feedback["at"],
                fields=orjson.loads(fields) if fields else None,
                source="feedback" if prediction_id in sent_again else "log",
            )
        )
    found.rows, found.feedback = tuple(rows), len(given)
    found.unknown, found.other_records = len(latest) - len(rows), len(others)
    return found


def chosen_rows(place: LogPlace, tree: Tree, ids: Collection[str], columns: Sequence[str]) -> dict[str, Row]:
    """Return the rows of these answers by their ids; no more than one partition at a time is in memory."""
    sought, rows = pa.array(sorted(ids), pa.string()), dict[str, Row]()
    for batch in batches(place, tree, {day_of(prediction_id) for prediction_id in ids}, columns):
        for row in batch.filter(pc.is_in(batch.column("prediction_id"), sought)).to_pylist():
            rows[row["prediction_id"]] = row
    return rows


def _records_of_feedback(place: LogPlace, given: Sequence[Row], lacking: Mapping[str, str | None]) -> tuple[dict[str, str], set[str]]:
    """Return the records that feedback brought for these answers, and the answers that it brought none but other records for.

    A record is the one that was answered where it has the digest in the log; where the log holds none, it is believed.

    Args:
        lacking: Digest of the record of each answer; None where the log holds none.
    """
    if not lacking:
        return {}, set()
    digests = {(row["prediction_id"], row["by"], row["at"]): row["record_digest"] for row in given}
    records: dict[str, str] = {}
    others: set[str] = set()
    days = {day_of(prediction_id) for prediction_id in lacking}
    table = read_table(place, FEEDBACK_TEXTS, days, ("prediction_id", "by", "at", "fields"))
    for row in sorted(table.to_pylist(), key=lambda row: str(row["at"])):
        prediction_id = row["prediction_id"]
        if prediction_id not in lacking or row["fields"] is None:
            continue
        expected = lacking[prediction_id]
        if expected is None or digests.get((prediction_id, row["by"], row["at"])) == expected:
            records[prediction_id] = row["fields"]
        else:
            others.add(prediction_id)
    return records, others - set(records)

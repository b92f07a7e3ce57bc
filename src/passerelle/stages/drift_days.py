"""The days of the prediction log, added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from passerelle.model.prediction_id import day_of, is_prediction_id
from passerelle.monitoring.drift.day_counts import DayCounts
from passerelle.monitoring.drift.day_tally import COLUMNS, DayTally
from passerelle.monitoring.drift.text_tally import TextTally
from passerelle.monitoring.prediction_log.log_place import LogPlace
from passerelle.monitoring.prediction_log.partitions import batches, days_between, prediction_batches, read_feedback
from passerelle.monitoring.prediction_log.trees import TEXTS
from passerelle.names import RUN_ID_LENGTH_IN_TAG


@dataclass(frozen=True)
class LogReading:
    """What is read of a log.

    Attributes:
        sample_size: Answers of the daily random sample.
    """

    place: LogPlace
    registered_model: str
    sample_size: int


def day_counts(reading: LogReading, last: date, days: int) -> list[DayCounts]:
    """Return so many days up to the last, one each, of one registered model.

    Raises:
        OutsideError: A file of the log cannot be read; names it.
    """
    first = last - timedelta(days=days - 1)
    every = days_between(first, last)
    feedback, found, runs = _feedback(reading, every), {day: DayCounts(day) for day in every}, set[str]()
    for tally in _tallies(reading, every, feedback):
        found[tally.day] = tally.counts()
        runs |= tally.run_prefixes
    for day, texts in _texts(reading, every, frozenset(runs)):
        found[day] = texts.added_to(found[day])
    return [found[day] for day in every]


def _tallies(reading: LogReading, days: Sequence[date], feedback: Mapping[date, Mapping[str, str]]) -> Iterator[DayTally]:
    """Yield each day that has answers, once all of them are added."""
    tally: DayTally | None = None
    for batch in prediction_batches(reading.place, days, COLUMNS):
        # No batch of the log holds two days.
        day = day_of(batch.column("prediction_id")[0].as_py())
        if tally is None or tally.day != day:
            if tally is not None:
                yield tally
            tally = DayTally(day, feedback.get(day), reading.sample_size)
        of_model = batch.filter(pc.equal(batch.column("registered_model"), reading.registered_model))
        if of_model.num_rows:
            tally.add_answers(of_model)
    if tally is not None:
        yield tally


def _feedback(reading: LogReading, days: Sequence[date]) -> Mapping[date, Mapping[str, str]]:
    """Return the right labels by day and prediction id; of several for one answer, the latest."""
    table = read_feedback(reading.place, days, ("prediction_id", "at", "registered_model", "label")).sort_by("at")
    found: dict[date, dict[str, str]] = {}
    for row in table.to_pylist():
        if row["registered_model"] == reading.registered_model and is_prediction_id(row["prediction_id"]):
            found.setdefault(day_of(row["prediction_id"]), {})[row["prediction_id"]] = row["label"]
    return found


def _texts(reading: LogReading, days: Sequence[date], runs: frozenset[str]) -> Iterator[tuple[date, TextTally]]:
    """Yield each day that has texts to answers of these runs, with them."""
    tally, last = TextTally(), None
    for batch in batches(reading.place, TEXTS, days, ("prediction_id", "redaction", "fields")):
        day = day_of(batch.column("prediction_id")[0].as_py())
        if last not in (None, day):
            yield last, tally
        tally, last = (tally if last == day else TextTally()), day
        endings = pc.utf8_slice_codeunits(batch.column("prediction_id"), -RUN_ID_LENGTH_IN_TAG, None)
        of_model = batch.filter(pc.is_in(endings, value_set=pa.array(sorted(runs), pa.string())))
        for row in of_model.slice(0, tally.room).to_pylist():
            values = orjson.loads(row["fields"]).values()
            text = " ".join(value for value in values if isinstance(value, str))
            tally.add(text, redacted=row["redaction"] is not None)
    if last is not None:
        yield last, tally

"""One split of a table in, one scored file out: the same for the same split, model and rules, wherever and whenever it is scored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from passerelle.batch.row_ids import row_ids
from passerelle.batch.scored_file import scored_content
from passerelle.batch.split_rows import RowFault, Rows, rows_of
from passerelle.batch.table_plan import TableSplit
from passerelle.model.answer import label_text
from passerelle.model.loaded import LoadedModel
from passerelle.model.text_limits import is_unicode
from passerelle.scorer.record_columns import RecordColumns

#: What a pipeline raises for values that it cannot take, as the service answers with 422.
_VALUES = (ValueError, OverflowError, TypeError, AttributeError)
_NO_VALUE = "holds a value that the model cannot take"


#: Returns what a model that is no classifier says of a record, as the service answers it: of its value, and its labels' probabilities.
AnswerOf = Callable[[LoadedModel, object, "Sequence[float] | None"], Mapping[str, Any]]
#: Returns the records of the cells of some rows, or why one is none.
ReadRecords = Callable[[Sequence[Mapping[str, Any]]], Sequence["Mapping[str, Any] | RowFault"]]


@dataclass(frozen=True)
class Scoring:
    """By what rows are scored.

    Attributes:
        model: The model.
        read_records: The service's own check of records.
        ids: Columns that name rows, which the output repeats.
        review_threshold: A label that is less probable is for a person to look at.
        redact: Takes personal data out of the texts of the record, where `ids` names them; None leaves them as they are.
        output_format: csv, jsonl or parquet.
        answer_of: For a model that is no classifier.
    """

    model: LoadedModel
    read_records: ReadRecords
    ids: tuple[str, ...] = ()
    review_threshold: float = 0.0
    redact: Callable[[str], str] | None = None
    output_format: str = "parquet"
    answer_of: AnswerOf | None = None

    @cached_property
    def classifies(self) -> bool:
        """Whether the answers are labels with a probability."""
        return self.model.task == "classification" or self.answer_of is None

    @cached_property
    def texts(self) -> frozenset[str]:
        """The columns of `ids` that are texts of the record."""
        return frozenset(column.name for column in self.model.description.columns if column.type == "string").intersection(self.ids)

    def names(self, rows: Rows) -> list[list[str | None]]:
        """Return the cells that name each row, as the output repeats them, by column."""
        if isinstance(rows, RecordColumns):
            return [self._names(name, rows.columns[name]) for name in self.ids]
        return [self._names(name, [None if isinstance(row, RowFault) else row.get(name) for row in rows]) for name in self.ids]

    def _names(self, column: str, cells: Sequence[object]) -> list[str | None]:
        values = [cell if cell is None or isinstance(cell, str) else str(cell) for cell in cells]
        if self.redact is None or column not in self.texts:
            return values
        redact = self.redact
        return [redact(value) if value and is_unicode(value) else value for value in values]


@dataclass(frozen=True)
class ScoredSplit:
    """The result of one split.

    Attributes:
        content: A file with one row for each row that was scored.
        refused: JSON lines, one for each row that was not; empty where there are none.
        rows: How many rows were scored.
        refused_rows: How many were not.
    """

    content: bytes
    refused: bytes
    rows: int
    refused_rows: int


@dataclass
class _Answers:
    """The columns of the output, as they fill; `ids` has one list for each column that names rows, `outputs` those of `_outputs`."""

    rows: list[int]
    ids: list[list[str | None]]
    outputs: list[list[Any]]
    refused: list[bytes] = field(default_factory=list)

    def add(self, rows: Sequence[int], ids: Sequence[Sequence[str | None]], outputs: Sequence[Sequence[Any]]) -> None:
        """Add rows with their answers."""
        self.rows.extend(rows)
        for column, values in zip([*self.ids, *self.outputs], [*ids, *outputs], strict=True):
            column.extend(values)


@dataclass(frozen=True)
class _Records:
    """Some rows that can be scored: their numbers, the cells that name them by column, and their records."""

    rows: Sequence[int]
    ids: Sequence[Sequence[str | None]]
    records: Sequence[Mapping[str, Any]]

    def at(self, places: Sequence[int]) -> _Records:
        """Return some of them."""
        rows, records = ([values[place] for place in places] for values in (self.rows, self.records))
        return _Records(cast("list[int]", rows), [[names[place] for place in places] for names in self.ids], cast(Any, records))


def score_split(split: TableSplit, scoring: Scoring) -> ScoredSplit:
    """Return the answers to the rows of a split, in their order.

    Raises:
        DataError: As `rows_of`.
        OutsideError: The input cannot be read, or the pipeline is needed and not installed.
    """
    answers = _Answers([], [[] for _ in scoring.ids], [[], []] if scoring.classifies else [[]])
    number = split.first_row
    for rows in rows_of(split, scoring.model.description.columns, scoring.ids):
        _add(answers, split, scoring, number, rows)
        number += len(rows)
    found = _table(answers, split, scoring)
    repeated = [name for name in ("input", "label", "model_version") if name in found.column_names and name not in scoring.ids]
    nested = [] if scoring.classifies or scoring.model.task == "regression" else [_column(scoring.model)]
    content = scored_content(found, scoring.output_format, repeated=repeated, nested=nested)
    return ScoredSplit(content, b"".join(answers.refused), len(answers.rows), len(answers.refused))


def _add(answers: _Answers, split: TableSplit, scoring: Scoring, first: int, rows: Rows) -> None:
    """Score some rows, or write down why they are not."""
    ids = scoring.names(rows)
    found = _read(rows, ids, scoring)
    faults = _faults(found)
    scored = _Records(range(first, first + len(rows)), ids, cast(Any, found))
    if faults:
        scored = scored.at([place for place in range(len(rows)) if place not in faults])
    outputs = _outputs(scored.records, scoring)
    if None in outputs[0]:
        taken = [place for place, output in enumerate(outputs[0]) if output is not None]
        refused = set(range(len(scored.rows))).difference(taken)
        faults |= {scored.rows[place] - first: RowFault(_NO_VALUE) for place in refused}
        scored, outputs = scored.at(taken), [[column[place] for place in taken] for column in outputs]
    for place in sorted(faults):
        answers.refused.append(_line(split, first + place, scoring, [names[place] for names in ids], faults[place]))
    answers.add(scored.rows, scored.ids, outputs)


def _outputs(records: Sequence[Mapping[str, Any]], scoring: Scoring) -> Sequence[Sequence[Any]]:
    """Return by column the labels' indices and their probabilities, or the answers; None first for a record that the model cannot take."""
    return predictions(scoring.model, records) if scoring.classifies else [list(_values_of(scoring, records))]


def _faults(rows: Sequence[Mapping[str, Any] | RowFault]) -> dict[int, RowFault]:
    """Return the rows that cannot be scored, by their places."""
    if isinstance(rows, RecordColumns):
        return {}
    return {place: row for place, row in enumerate(rows) if isinstance(row, RowFault)}


def _read(rows: Rows, ids: Sequence[Sequence[str | None]], scoring: Scoring) -> Sequence[Mapping[str, Any] | RowFault]:
    """Return the records of rows, or why one is none."""
    faults = _faults(rows)
    for name, values in zip(scoring.ids, ids, strict=True):
        if not is_unicode("".join(filter(None, values))):
            faults |= {
                place: RowFault("is not valid Unicode", name)
                for place, value in enumerate(values)
                if place not in faults and value is not None and not is_unicode(value)
            }
    if not faults:
        return scoring.read_records(cast(Any, rows))
    places = [place for place in range(len(rows)) if place not in faults]
    found = dict(zip(places, scoring.read_records([cast(Any, rows[place]) for place in places]), strict=True))
    return [faults.get(place) or found[place] for place in range(len(rows))]


def predictions(model: LoadedModel, records: Sequence[Mapping[str, Any]]) -> tuple[list[int | None], list[float | None]]:
    """Return the index of the label of each record, and its probability, as `LoadedModel.rows` gives them; no index for bad values.

    Arrays in the place of rows: a list of all probabilities of each record would take a tenth of the time.
    """
    if not records:
        return [], []
    if model.scorer is not None:
        indices, table = model.scorer.answers(records)
        has_probabilities = model.scorer.has_probabilities
        return indices.tolist(), table[np.arange(len(records)), indices].tolist() if has_probabilities else [None] * len(records)
    try:
        rows = model.rows(list(records))
    except _VALUES:
        if len(records) == 1:
            return [None], [None]
        found = [predictions(model, [record]) for record in records]
        return [labels[0] for labels, _ in found], [probabilities[0] for _, probabilities in found]
    probabilities = [None if row.probabilities is None else row.probabilities[row.label_index] for row in rows]
    return [row.label_index for row in rows], probabilities


def _column(model: LoadedModel) -> str:
    """Return the name under which /predict answers."""
    return "labels" if model.task == "multilabel" else "prediction"


def _values_of(scoring: Scoring, records: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any] | None]:
    """Yield what a model that is no classifier answers for each record; None for values that it cannot take."""
    if not records or scoring.answer_of is None:
        return
    try:
        outputs = scoring.model.values(list(records))
    except _VALUES:
        if len(records) == 1:
            yield None
            return
        for record in records:
            yield from _values_of(scoring, [record])
        return
    rows: Sequence[Sequence[float] | None] = outputs.probabilities or [None] * len(outputs.values)
    yield from (scoring.answer_of(scoring.model, value, row) for value, row in zip(outputs.values, rows, strict=True))


def _table(answers: _Answers, split: TableSplit, scoring: Scoring) -> pa.Table:
    rows, model = len(answers.rows), scoring.model
    ids = {name: pa.array(values, pa.string()) for name, values in zip(scoring.ids, answers.ids, strict=True)}
    columns = {
        "input": pa.array([split.file.name] * rows, pa.string()),
        "row": pa.array(answers.rows, pa.int64()),
        **ids,
        **(_labels(answers, scoring) if scoring.classifies else {_column(model): _predictions(answers, model)}),
        "model_version": pa.array([model.version] * rows, pa.string()),
        "prediction_id": _prediction_ids(answers.rows, split, model),
    }
    return pa.table(columns)


def _labels(answers: _Answers, scoring: Scoring) -> dict[str, pa.Array]:
    texts = pa.array([label_text(label) for label in scoring.model.labels], pa.string())
    labels = pa.DictionaryArray.from_arrays(pa.array(answers.outputs[0], pa.int32()), texts)
    probabilities = pa.array(answers.outputs[1], pa.float64())
    review = pc.fill_null(pc.less(probabilities, pa.scalar(scoring.review_threshold, pa.float64())), fill_value=False)
    return {"label": labels.cast(pa.string()), "probability": probabilities, "review": review}


def _predictions(answers: _Answers, model: LoadedModel) -> pa.Array:
    """Return numbers of a regression, and JSON of any other task."""
    values = [answer[_column(model)] for answer in answers.outputs[0]]
    if model.task == "regression":
        return pa.array(values, pa.float64())
    return pa.array([orjson.dumps(value).decode() for value in values], pa.string())


def _prediction_ids(rows: Sequence[int], split: TableSplit, model: LoadedModel) -> pa.Array:
    """Return the ids of answers: of the file's name and content, the row, and the model's files."""
    of = "\n".join((split.file.name, split.digest, str(model.lineage["artifact_digest"]), ""))
    return row_ids(model.prediction_prefix, hashlib.sha256(of.encode("utf-8", "replace")).digest(), rows)


def _line(split: TableSplit, number: int, scoring: Scoring, ids: Sequence[str | None], refusal: RowFault) -> bytes:
    named = {name: value and value.encode("utf-8", "replace").decode() for name, value in zip(scoring.ids, ids, strict=True)}
    line = {"input": split.file.name, "row": number, "ids": named, "field": refusal.field, "reason": refusal.reason}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

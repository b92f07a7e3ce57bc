"""One split of a table in, one scored file out: the same for the same split, model and rules, wherever and whenever it is scored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from passerelle.batch.scored_file import scored_content
from passerelle.batch.split_rows import Row, rows_of
from passerelle.batch.table_plan import TableSplit
from passerelle.model.answer import label_text
from passerelle.model.loaded import LoadedModel
from passerelle.model.prediction_id import row_prediction_id

#: What a pipeline raises for values that it cannot take, as the service answers with 422.
_VALUES = (ValueError, OverflowError, TypeError, AttributeError)
_NO_VALUE = "holds a value that the model cannot take"


@dataclass(frozen=True)
class RowFault:
    """Why a row is not scored; holds nothing of its texts.

    Attributes:
        reason: The end of a sentence.
        field: The column that is wrong, if there is one.
    """

    reason: str
    field: str | None = None


#: Returns what a model that is no classifier says of a record, as the service answers it: of its value, and its labels' probabilities.
AnswerOf = Callable[[LoadedModel, object, "Sequence[float] | None"], Mapping[str, Any]]
#: Returns the record of the cells of a row, or why it is none.
ReadRecord = Callable[[Mapping[str, Any]], "Mapping[str, Any] | RowFault"]


@dataclass(frozen=True)
class Scoring:
    """By what rows are scored.

    Attributes:
        model: The model.
        read_record: The service's own check of a record.
        ids: Columns that name rows, which the output repeats.
        review_threshold: A label that is less probable is for a person to look at.
        redact: Takes personal data out of the texts of the record, where `ids` names them; None leaves them as they are.
        output_format: csv, jsonl or parquet.
        answer_of: For a model that is no classifier.
    """

    model: LoadedModel
    read_record: ReadRecord
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

    def names(self, cells: Mapping[str, Any]) -> list[str | None]:
        """Return the cells that name a row, as the output repeats them."""
        values = [_name(cells.get(name)) for name in self.ids]
        if self.redact is None or not self.texts:
            return values
        redact = self.redact
        return [
            redact(value) if value and name in self.texts and _is_unicode(value) else value
            for name, value in zip(self.ids, values, strict=True)
        ]


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
    """The columns of the output, as they fill."""

    rows: list[int] = field(default_factory=list)
    ids: list[list[str | None]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    probabilities: list[float | None] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)


def score_split(split: TableSplit, scoring: Scoring) -> ScoredSplit:
    """Return the answers to the rows of a split, in their order.

    Raises:
        DataError: As `rows_of`.
        OutsideError: The input cannot be read, or the pipeline is needed and not installed.
    """
    answers = _Answers()
    number = split.first_row
    for rows in rows_of(split, scoring.model.description.columns, scoring.ids):
        _add(answers, split, scoring, number, rows)
        number += len(rows)
    found = _table(answers, split, scoring)
    repeated = [name for name in ("input", "label", "model_version") if name in found.column_names and name not in scoring.ids]
    nested = [] if scoring.classifies or scoring.model.task == "regression" else [_column(scoring.model)]
    content = scored_content(found, scoring.output_format, repeated=repeated, nested=nested)
    return ScoredSplit(content, b"".join(answers.refused), len(answers.rows), len(answers.refused))


def _add(answers: _Answers, split: TableSplit, scoring: Scoring, first: int, rows: Sequence[Row]) -> None:
    """Score some rows, or write down why they are not."""
    records, numbers, names = [], [], []
    for number, row in enumerate(rows, first):
        ids = scoring.names(row.cells)
        found = RowFault(row.fault) if row.fault else _record(row, ids, scoring)
        if isinstance(found, RowFault):
            answers.refused.append(_line(split, number, scoring, ids, found))
        else:
            records.append(found)
            numbers.append(number)
            names.append(ids)
    if not scoring.classifies:
        _add_values(answers, split, scoring, numbers, list(zip(names, records, strict=True)))
        return
    for place, (label, probability) in enumerate(predictions(scoring.model, records)):
        if label is None:
            refusal = RowFault(_NO_VALUE)
            answers.refused.append(_line(split, numbers[place], scoring, names[place], refusal))
            continue
        answers.rows.append(numbers[place])
        answers.ids.append(names[place])
        answers.labels.append(label)
        answers.probabilities.append(probability)


def _record(row: Row, ids: Sequence[str | None], scoring: Scoring) -> Mapping[str, Any] | RowFault:
    for name, value in zip(scoring.ids, ids, strict=True):
        if value is not None and not _is_unicode(value):
            return RowFault("is not valid Unicode", name)
    return scoring.read_record(row.cells)


def predictions(model: LoadedModel, records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int | None, float | None]]:
    """Yield the index of the label and its probability for each record, as `LoadedModel.rows` gives them; no index for bad values.

    Arrays in the place of rows: a list of all probabilities of each record would take a tenth of the time.
    """
    if not records:
        return
    if model.scorer is not None:
        indices, table = model.scorer.answers(records)
        found = table[np.arange(len(records)), indices].tolist() if model.scorer.has_probabilities else [None] * len(records)
        yield from zip(indices.tolist(), found, strict=True)
        return
    try:
        rows = model.rows(records)
    except _VALUES:
        if len(records) == 1:
            yield None, None
            return
        for record in records:
            yield from predictions(model, [record])
        return
    yield from ((row.label_index, None if row.probabilities is None else row.probabilities[row.label_index]) for row in rows)


def _add_values(
    answers: _Answers, split: TableSplit, scoring: Scoring, numbers: Sequence[int], records: Sequence[tuple[list[str | None], Any]]
) -> None:
    """Add what a model that is no classifier answers; each record comes with the cells that name its row."""
    for number, (ids, _), answer in zip(numbers, records, _values_of(scoring, [record for _, record in records]), strict=True):
        if answer is None:
            answers.refused.append(_line(split, number, scoring, ids, RowFault(_NO_VALUE)))
            continue
        answers.rows.append(number)
        answers.ids.append(ids)
        answers.values.append(answer[_column(scoring.model)])


def _column(model: LoadedModel) -> str:
    """Return the name under which /predict answers."""
    return "labels" if model.task == "multilabel" else "prediction"


def _values_of(scoring: Scoring, records: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any] | None]:
    """Yield what a model that is no classifier answers for each record; None for values that it cannot take."""
    if not records or scoring.answer_of is None:
        return
    try:
        outputs = scoring.model.values(records)
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
    ids = {name: pa.array([each[place] for each in answers.ids], pa.string()) for place, name in enumerate(scoring.ids)}
    columns = {
        "input": pa.array([split.file.name] * rows, pa.string()),
        "row": pa.array(answers.rows, pa.int64()),
        **ids,
        **(_labels(answers, scoring) if scoring.classifies else {_column(model): _predictions(answers, model)}),
        "model_version": pa.array([model.version] * rows, pa.string()),
        "prediction_id": pa.array(_prediction_ids(answers.rows, split, model), pa.string()),
    }
    return pa.table(columns)


def _labels(answers: _Answers, scoring: Scoring) -> dict[str, pa.Array]:
    texts = pa.array([label_text(label) for label in scoring.model.labels], pa.string())
    labels = pa.DictionaryArray.from_arrays(pa.array(answers.labels, pa.int32()), texts)
    review = [value is not None and value < scoring.review_threshold for value in answers.probabilities]
    return {
        "label": labels.cast(pa.string()),
        "probability": pa.array(answers.probabilities, pa.float64()),
        "review": pa.array(review, pa.bool_()),
    }


def _predictions(answers: _Answers, model: LoadedModel) -> pa.Array:
    """Return numbers of a regression, and JSON of any other task."""
    if model.task == "regression":
        return pa.array(answers.values, pa.float64())
    return pa.array([orjson.dumps(value).decode() for value in answers.values], pa.string())


def _prediction_ids(rows: Sequence[int], split: TableSplit, model: LoadedModel) -> list[str]:
    """Return the ids of answers: of the file's name and content, the row, and the model's files."""
    begin = hashlib.sha256("\n".join((split.file.name, split.digest, str(model.lineage["artifact_digest"]), "")).encode("utf-8", "replace"))
    ids = []
    for row in rows:
        digest = begin.copy()
        digest.update(str(row).encode())
        ids.append(row_prediction_id(model.prediction_prefix, digest.digest()))
    return ids


def _name(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _line(split: TableSplit, number: int, scoring: Scoring, ids: Sequence[str | None], refusal: RowFault) -> bytes:
    named = {name: value and value.encode("utf-8", "replace").decode() for name, value in zip(scoring.ids, ids, strict=True)}
    line = {"input": split.file.name, "row": number, "ids": named, "field": refusal.field, "reason": refusal.reason}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

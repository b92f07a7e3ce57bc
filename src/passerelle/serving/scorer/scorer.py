"""The compiled scorer: records in, probabilities and labels out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from passerelle.errors import DataError
from passerelle.serving.scorer.calibrated import head_of
from passerelle.serving.scorer.encoding import Codes
from passerelle.serving.scorer.heads import Head
from passerelle.serving.scorer.lookup import Source, sources_of
from passerelle.serving.scorer.refusal import NotCompilable, Refusal, named
from passerelle.serving.scorer.rows import END, Rows
from passerelle.serving.scorer.sections import Floats, Section
from passerelle.serving.scorer.steps import sections_of, steps_of

#: Deciding values that are closer than this, relative to their size, may be in another order after other rounding.
NEAR_TIE = 1e-9

_END_BYTES = END.tobytes()
_MOST_COLUMNS = 2**30 - 1


class Answer(NamedTuple):
    """The answer to one record.

    Attributes:
        label_index: Of the label, in the scorer's classes; in a tie, the one that scikit-learn gives.
        row: Probabilities, or decision scores where the model has no probabilities, shape (classes,).
    """

    label_index: int
    row: Floats


def compile_pipeline(pipeline: Any, *, text_column: str | None = None) -> CompiledScorer | NotCompilable:
    """Return a scorer that gives the pipeline's own answers, or what stands in its way.

    Args:
        pipeline: A fitted `sklearn.pipeline.Pipeline` that ends in a classifier.
        text_column: The record's field for a pipeline that starts with a bare vectorizer and so names no column.
    """
    if type(pipeline) is not Pipeline:
        return NotCompilable(named("", pipeline), "it is not a scikit-learn Pipeline")
    try:
        return _compile(pipeline, text_column)
    except Refusal as refusal:
        return refusal.verdict


def _compile(pipeline: Any, text_column: str | None) -> CompiledScorer:
    steps = steps_of(pipeline)
    if not steps:
        raise Refusal(named("", pipeline), "it has no steps")
    sections, bare = _sections(steps[:-1], text_column)
    path, classifier = steps[-1]
    part = named(path, classifier)
    head = head_of(classifier, part)
    columns = sum(section.width for section in sections)
    if columns != head.coefficients.shape[0] or columns > _MOST_COLUMNS:
        raise Refusal(part, f"{head.coefficients.shape[0]} coefficients do not fit {columns} columns")
    return CompiledScorer(pipeline, sections, head, bare=bare)


def _sections(transformers: list[tuple[str, Any]], text_column: str | None) -> tuple[list[Section], bool]:
    """Return the sections and whether the pipeline takes bare texts rather than a table."""
    try:
        return sections_of(transformers, None), False
    except Refusal:
        if text_column is None:
            raise
        return sections_of(transformers, text_column), True


class CompiledScorer:
    """Scores records as the pipeline does, within rounding, and labels them as it does, always.

    Where two classes are so close that rounding decides between them, the pipeline itself is asked for the label. May be called from
    several threads at a time.

    Attributes:
        classes: The labels, as they are in the classifier's `classes_`.
        columns: The record's fields that are read; they hold text.
        has_probabilities: Whether rows are probabilities; else they are decision scores.
    """

    def __init__(self, pipeline: Any, sections: Sequence[Section], head: Head, *, bare: bool) -> None:
        self.classes: tuple[Any, ...] = tuple(head.classes.tolist())
        self.columns: tuple[str, ...] = tuple(dict.fromkeys(section.column for section in sections))
        self.has_probabilities = head.link is not None
        self._pipeline = pipeline
        self._bare = bare
        self._sources: tuple[Source, ...] = sources_of(sections)
        self._rows = Rows(sections, head.coefficients, head.intercepts)
        self._head = head
        self._index = {label: i for i, label in enumerate(self.classes)}

    def one(self, record: Mapping[str, object]) -> Floats:
        """Return the probabilities (or decision scores) of one record, shape (classes,)."""
        scores, _ = self._scores(record)
        row: Floats = self._head.rows(scores[np.newaxis])[0]
        return row

    def many(self, records: Sequence[Mapping[str, object]]) -> Floats:
        """Return the probabilities (or decision scores) of these records, shape (records, classes)."""
        return self._head.rows(self._score_table(records)[0])

    def answer(self, record: Mapping[str, object]) -> Answer:
        """Return label and probabilities of one record."""
        scores, known = self._scores(record)
        table = scores[np.newaxis]
        rows = self._head.rows(table)
        deciding = self._head.deciding(table, rows)[0]
        index = int(deciding.argmax())
        best = float(deciding[index])
        if np.count_nonzero(deciding >= best - NEAR_TIE * (1.0 + abs(best))) > 1:
            index = self._ask(record) if known else self._index_of_nothing
        return Answer(index, rows[0])

    def answers(self, records: Sequence[Mapping[str, object]]) -> tuple[NDArray[np.intp], Floats]:
        """Return the labels' indices in `classes`, shape (records,), and the rows of `many`.

        Raises:
            DataError: A record lacks a column or does not hold text in it.
        """
        scores, known = self._score_table(records)
        rows = self._head.rows(scores)
        deciding = self._head.deciding(scores, rows)
        indices = deciding.argmax(axis=1)
        for position in np.flatnonzero(_near_ties(deciding)).tolist():
            indices[position] = self._ask(records[position]) if known[position] else self._index_of_nothing
        return indices, rows

    def labels(self, records: Sequence[Mapping[str, object]]) -> list[Any]:
        """Return the labels of these records, as `pipeline.predict` gives them."""
        indices, _ = self.answers(records)
        return [self.classes[index] for index in indices.tolist()]

    def _score_table(self, records: Sequence[Mapping[str, object]]) -> tuple[Floats, NDArray[np.bool_]]:
        scores = np.empty((len(records), self._head.scores))
        known = np.empty(len(records), dtype=np.bool_)
        for position, record in enumerate(records):
            scores[position], known[position] = self._scores(record)
        return scores, known

    def _scores(self, record: Mapping[str, object]) -> tuple[Floats, bool]:
        runs: list[bytes | Codes] = [_END_BYTES]
        for source in self._sources:
            runs += source.codes(_text(record, source.column))
        # A bytearray makes an array that can be sorted in place.
        scores = self._rows.scores(np.frombuffer(bytearray().join(cast(Any, runs)), dtype=np.int32))
        return (self._rows.intercepts.copy(), False) if scores is None else (scores, True)

    @cached_property
    def _index_of_nothing(self) -> int:
        """The label's index for a text without any known n-gram, which is the same for all of them."""
        return self._ask(dict.fromkeys(self.columns, ""))

    def _ask(self, record: Mapping[str, object]) -> int:
        """Return the index of the label that the pipeline itself gives."""
        if self._bare:
            return self._index[self._pipeline.predict([record[self.columns[0]]]).tolist()[0]]
        import pandas as pd  # noqa: PLC0415 - only needed where rounding decides, and slow to import

        table = pd.DataFrame({column: pd.Series([record[column]], dtype=object) for column in self.columns})
        return self._index[self._pipeline.predict(table).tolist()[0]]


def _text(record: Mapping[str, object], column: str) -> str:
    text = record.get(column)
    if not isinstance(text, str):
        raise DataError(f"The record's field « {column} » holds no text.")
    return text


def _near_ties(deciding: Floats) -> NDArray[np.bool_]:
    best = deciding.max(axis=1, keepdims=True)
    near: NDArray[np.bool_] = np.count_nonzero(deciding >= best - NEAR_TIE * (1.0 + np.abs(best)), axis=1) > 1
    return near

"""The compiled scorer: records in, probabilities and labels out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from passerelle.scorer.chunks import Source, sources_of
from passerelle.scorer.head import Head
from passerelle.scorer.linear import END, LinearScores
from passerelle.scorer.pairs import Codes
from passerelle.scorer.record_columns import no_text, texts_of
from passerelle.scorer.sections import Floats, Section

#: Deciding values that are closer than this, relative to their size, may be in another order after other rounding.
NEAR_TIE = 1e-9

#: Number of rows of scores of a batch that become probabilities at once.
ROWS = 64

#: From so many records on, calls of numpy for all of them together cost less than those for each.
MANY = 8
#: Most records and characters that are scored together: their arrays stay in the processor's cache.
PART_RECORDS, PART_CHARACTERS = 512, 1 << 16

_END_BYTES = END.tobytes()


#: Gives the pipeline's own label of a record that holds the scorer's columns, or of one text where the pipeline takes no table.
PipelineLabel = Callable[[Mapping[str, object] | str], object]


class RowScore(NamedTuple):
    """What is computed of one record.

    Attributes:
        label_index: Of the label, in the scorer's classes; in a tie, the one that scikit-learn gives.
        row: Probabilities, or decision scores where the model has no probabilities, shape (classes,).
        known_ngrams: Share of the record's n-grams that the model knows; 0 for a record without any.
    """

    label_index: int
    row: Floats
    known_ngrams: float


class CompiledScorer:
    """Scores records as the pipeline does, within rounding, and labels them as it does.

    Where two classes are so close that rounding decides between them, the pipeline itself is asked for the label; without a pipeline the
    greater of the two is it. May be called from several threads at a time.

    Attributes:
        classes: The labels, as they are in the classifier's `classes_`.
        columns: The record's fields that are read; they hold text.
        has_probabilities: Whether rows are probabilities; else they are decision scores.

    Args:
        sections: In the order of their columns.
        rows: The arithmetic over them.
        head: What becomes of the scores.
        pipeline_label: Asks the fitted pipeline, where there is one; called only where rounding decides.
        bare: Whether the pipeline takes texts rather than a table.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        rows: LinearScores,
        head: Head,
        *,
        pipeline_label: PipelineLabel | None,
        bare: bool = False,
    ) -> None:
        self.classes: tuple[object, ...] = head.classes
        self.columns: tuple[str, ...] = tuple(dict.fromkeys(section.column for section in sections))
        self.has_probabilities = head.link is not None
        self.sections = tuple(sections)
        self.linear = rows
        self.head = head
        self.bare = bare
        self._pipeline_label = pipeline_label
        self._sources: tuple[Source, ...] = sources_of(sections)
        self._index = {label: i for i, label in enumerate(self.classes)}

    def forget(self) -> None:
        """Forget the words of earlier texts, so that the next one costs what a new text costs."""
        for source in self._sources:
            source.forget()

    def one(self, record: Mapping[str, object]) -> Floats:
        """Return the probabilities (or decision scores) of one record, shape (classes,)."""
        scores, _ = self._scores(record)
        row: Floats = self.head.rows(scores[np.newaxis])[0]
        return row

    def answer(self, record: Mapping[str, object], *, ask: Callable[[Mapping[str, object]], int] | None = None) -> RowScore:
        """Return label and probabilities of one record; `ask` as in `answers`."""
        return self._answer(record, *self._scores(record), ask)

    def answer_in_slices(
        self, record: Mapping[str, object], *, ask: Callable[[Mapping[str, object]], int] | None = None
    ) -> Generator[None, None, RowScore]:
        """Return what `answer` returns, to the bit; yields every few hundred n-grams, so that something else can be done in between."""
        scores, share = yield from self._scores_in_slices(record)
        return self._answer(record, scores, share, ask)

    def answers_in_slices(
        self,
        records: Sequence[Mapping[str, object]],
        lengths: Sequence[int],
        *,
        at_once: int,
        ask: Callable[[Mapping[str, object]], int] | None = None,
    ) -> Generator[None, None, tuple[NDArray[np.intp], Floats, Floats]]:
        """Return what `answers_with_shares` returns, to the bit; yields as `answer_in_slices`, and between records.

        Args:
            records: Any number.
            lengths: Of the texts of each record.
            at_once: So much length is scored without a yield.
            ask: As in `answers`.
        """
        scores = np.empty((len(records), self.head.scores))
        shares = np.empty(len(records))
        scored = 0
        for position, (record, length) in enumerate(zip(records, lengths, strict=True)):
            if scored + length > at_once:
                scored = 0
                yield
            scored += length
            scores[position], shares[position] = (yield from self._scores_in_slices(record)) if length > at_once else self._scores(record)
        parts = []
        for begin in range(0, len(records), ROWS):
            part = slice(begin, begin + ROWS)
            yield
            parts.append(self._answers(records[part], scores[part], shares[part], ask))
        indices, rows = zip(*parts, strict=True)
        return np.concatenate(indices), np.concatenate(rows), shares

    def _answer(
        self, record: Mapping[str, object], scores: Floats, share: float, ask: Callable[[Mapping[str, object]], int] | None
    ) -> RowScore:
        table = scores[np.newaxis]
        rows = self.head.rows(table)
        deciding = self.head.deciding(table, rows)[0]
        index = int(deciding.argmax())
        best = float(deciding[index])
        if np.count_nonzero(deciding >= best - NEAR_TIE * (1.0 + abs(best))) > 1:
            index = self._settled(record, index, known=share > 0.0, ask=ask)
        return RowScore(index, rows[0], share)

    def answers(
        self, records: Sequence[Mapping[str, object]], *, ask: Callable[[Mapping[str, object]], int] | None = None
    ) -> tuple[NDArray[np.intp], Floats]:
        """Return the labels' indices in `classes`, shape (records,), and the probabilities or scores, shape (records, classes).

        Args:
            ask: Gives the index of a label where rounding decides, in the place of the pipeline.

        Raises:
            DataError: A record lacks a column or does not hold text in it.
        """
        indices, rows, _ = self.answers_with_shares(records, ask=ask)
        return indices, rows

    def answers_with_shares(
        self, records: Sequence[Mapping[str, object]], *, ask: Callable[[Mapping[str, object]], int] | None = None
    ) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Return what `answers` returns, and the share of each record's n-grams that the model knows, shape (records,).

        Raises:
            DataError: As `answers`.
        """
        scores, shares = self._score_table(records)
        return *self._answers(records, scores, shares, ask), shares

    def _answers(
        self,
        records: Sequence[Mapping[str, object]],
        scores: Floats,
        shares: Floats,
        ask: Callable[[Mapping[str, object]], int] | None,
    ) -> tuple[NDArray[np.intp], Floats]:
        rows = self.head.rows(scores)
        deciding = self.head.deciding(scores, rows)
        indices = deciding.argmax(axis=1)
        for position in np.flatnonzero(_near_ties(deciding)).tolist():
            indices[position] = self._settled(records[position], int(indices[position]), known=bool(shares[position] > 0.0), ask=ask)
        return indices, rows

    def labels(self, records: Sequence[Mapping[str, object]]) -> list[object]:
        """Return the labels of these records, as `pipeline.predict` gives them."""
        indices, _ = self.answers(records)
        return [self.classes[index] for index in indices.tolist()]

    def _score_table(self, records: Sequence[Mapping[str, object]]) -> tuple[Floats, Floats]:
        if len(records) >= MANY:
            columns = {column: texts_of(records, column) for column in self.columns}
            lengths = np.sum([np.fromiter(map(len, texts), np.int64, len(texts)) for texts in columns.values()], axis=0)
            parts = [self._score_part({name: texts[part] for name, texts in columns.items()}) for part in _parts(lengths)]
            return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        scores = np.empty((len(records), self.head.scores))
        shares = np.empty(len(records))
        for position, record in enumerate(records):
            scores[position], shares[position] = self._scores(record)
        return scores, shares

    def _score_part(self, columns: Mapping[str, Sequence[str]]) -> tuple[Floats, Floats]:
        found = [source.codes_of_texts(columns[source.column]) for source in self._sources]
        ngrams = np.sum([each.ngrams for each in found], axis=0)
        places = np.concatenate([each.places for each in found])
        known = np.bincount(places, minlength=len(ngrams))
        scores = self.linear.table_scores(places, np.concatenate([each.codes for each in found]), len(known))
        return scores, known / np.maximum(np.maximum(known, ngrams), 1)

    def _scores(self, record: Mapping[str, object]) -> tuple[Floats, float]:
        runs: list[bytes | Codes] = [_END_BYTES]
        ngrams = 0
        for source in self._sources:
            of_text = source.codes(_text(record, source.column))
            runs += of_text.runs
            ngrams += of_text.ngrams
        return self._scores_of(runs, ngrams)

    def _scores_in_slices(self, record: Mapping[str, object]) -> Generator[None, None, tuple[Floats, float]]:
        runs: list[bytes | Codes] = [_END_BYTES]
        ngrams = 0
        for source in self._sources:
            of_text = yield from source.codes_in_slices(_text(record, source.column))
            runs += of_text.runs
            ngrams += of_text.ngrams
        return self._scores_of(runs, ngrams)

    def _scores_of(self, runs: Sequence[bytes | Codes], ngrams: int) -> tuple[Floats, float]:
        """Return the scores, and the share of the n-grams that are known: over 0 where there is one."""
        # A bytearray makes an array that can be sorted in place.
        codes = np.frombuffer(bytearray().join(cast(Any, runs)), dtype=np.int32)
        scores = self.linear.scores(codes)
        if scores is None:
            return self.linear.intercepts.copy(), 0.0
        known = len(codes) - 1
        return scores, known / max(known, ngrams)

    def _settled(self, record: Mapping[str, object], index: int, *, known: bool, ask: Callable[[Mapping[str, object]], int] | None) -> int:
        """Return the label's index where rounding decides, and `index` where there is no pipeline to ask."""
        if not known:
            return self.index_of_nothing
        return index if self._pipeline_label is None else (ask or self.ask)(record)

    @cached_property
    def index_of_nothing(self) -> int:
        """The label's index for a text without any known n-gram, which is the same for all of them."""
        return self.ask(dict.fromkeys(self.columns, ""))

    def ask(self, record: Mapping[str, object]) -> int:
        """Return the index of the label that the pipeline itself gives.

        Raises:
            LookupError: There is no pipeline.
        """
        if self._pipeline_label is None:
            raise LookupError("this scorer has no pipeline to ask")
        if self.bare:
            return self._index[self._pipeline_label(_text(record, self.columns[0]))]
        return self._index[self._pipeline_label({column: record[column] for column in self.columns})]


def _text(record: Mapping[str, object], column: str) -> str:
    text = record.get(column)
    if not isinstance(text, str):
        raise no_text(column)
    return text


def _parts(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Yield parts of the records, whose arrays stay small.

    Args:
        lengths: Characters of each record.
    """
    ends, begin = lengths.cumsum(), 0
    while begin < len(lengths):
        before = int(ends[begin] - lengths[begin])
        full = int(ends.searchsorted(before + PART_CHARACTERS)) + 1
        end = min(full, begin + PART_RECORDS, len(lengths))
        yield slice(begin, end)
        begin = end


def _near_ties(deciding: Floats) -> NDArray[np.bool_]:
    best = deciding.max(axis=1, keepdims=True)
    near: NDArray[np.bool_] = np.count_nonzero(deciding >= best - NEAR_TIE * (1.0 + np.abs(best)), axis=1) > 1
    return near

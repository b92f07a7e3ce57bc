"""Whom the scorer asks where rounding decides, and that slices give the same answers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from passerelle.errors import DataError
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.scorer.head import Head
from passerelle.scorer.record_columns import RecordColumns
from passerelle.scorer.scorer import CompiledScorer
from tests.unit.scorer.scorer_cases import HOSTILE
from tests.unit.scorer.small_sections import chunked, ran, rows

TEXTS = ("", " ", "a", "ab", "Élan d'été", "carte grise perdue", "a  b\tc\u00a0d e", "aaaa bb aaaa", *HOSTILE)
RANGES = ((1, 1), (1, 2), (2, 2), (1, 3), (2, 4), (3, 3), (5, 6))


class Asked:
    """A pipeline that says `b` and counts how often it was asked."""

    def __init__(self) -> None:
        self.tables: list[Any] = []

    def predict(self, given: Any) -> Any:
        self.tables.append(given)
        return np.array(["b"])


def scorer(pipeline: Asked | None, *, coefficients: Any = ((1.0, 1.0, 0.0), (0.0, 1.0, 2.0)), **options: Any) -> CompiledScorer:
    of = [chunked("aa", ngrams=(1, 1)), chunked("bb", ngrams=(1, 1), column="title")]
    head = Head(("a", "b", "c"), 3, None)
    give = None if pipeline is None else partial(pipeline_label, pipeline)
    return CompiledScorer(of, rows(of, coefficients, (0.5, 0.5, 0.0)), head, pipeline_label=give, **options)


TIE, CLEAR, UNKNOWN = {"text": "aa", "title": ""}, {"text": "", "title": "bb"}, {"text": "zz", "title": "zz"}


def test_the_pipeline_is_asked_only_where_rounding_decides() -> None:
    pipeline = Asked()
    of = scorer(pipeline)
    assert (of.columns, of.classes, of.has_probabilities) == (("text", "title"), ("a", "b", "c"), False)
    assert of.labels([CLEAR]) == ["c"]
    assert of.answer(CLEAR).label_index == 2
    assert pipeline.tables == []
    assert of.labels([TIE, CLEAR]) == ["b", "c"]
    assert of.answer(TIE).label_index == 1
    assert [each.to_dict("records") for each in pipeline.tables] == [[TIE], [TIE]]
    assert of.answer(TIE).row.tolist() == of.one(TIE).tolist() == of.answers([TIE])[1][0].tolist() == [1.5, 1.5, 0.0]


@pytest.mark.parametrize(("distance", "asked"), [(0.0, True), (2e-9, True), (1e-8, False)])
def test_a_near_tie_is_one_within_a_billionth_of_the_value(distance: float, asked: bool) -> None:
    pipeline = Asked()
    of = scorer(pipeline, coefficients=((1.0, 1.0 - distance, 0.0), (0.0, 0.0, 0.0)))
    assert of.answer(TIE).label_index == int(asked)
    assert of.labels([TIE]) == ["b" if asked else "a"]
    assert len(pipeline.tables) == 2 * asked


def test_another_may_be_asked_and_without_anybody_the_greater_is_it() -> None:
    pipeline = Asked()
    of = scorer(pipeline)
    assert of.answer(TIE, ask=lambda record: 2 if record is TIE else 0).label_index == 2
    assert of.answers([CLEAR, TIE], ask=lambda _: 0)[0].tolist() == [2, 0]
    assert pipeline.tables == []
    alone = scorer(None)
    assert (alone.answer(TIE).label_index, alone.labels([TIE])) == (0, ["a"])
    with pytest.raises(LookupError, match="no pipeline to ask"):
        alone.ask(TIE)


def test_a_text_without_a_known_word_is_asked_for_once_and_has_the_intercepts() -> None:
    pipeline = Asked()
    of = scorer(pipeline)
    assert of.labels([UNKNOWN, {"text": "", "title": ""}]) == ["b", "b"]
    assert of.answer(UNKNOWN).label_index == 1
    assert [each.to_dict("records") for each in pipeline.tables] == [[{"text": "", "title": ""}]]
    row = of.one(UNKNOWN)
    row += 1
    assert of.one(UNKNOWN).tolist() == [0.5, 0.5, 0.0]


def test_a_bare_pipeline_is_asked_with_the_text_itself() -> None:
    pipeline = Asked()
    assert scorer(pipeline, bare=True).ask(TIE) == 1
    assert pipeline.tables == [["aa"]]


def test_answers_in_slices_are_the_same_to_the_bit() -> None:
    of = scorer(Asked())
    records = [TIE, CLEAR, UNKNOWN] * 50
    indices, values = of.answers(records)
    pauses, (sliced, same, shares) = ran(of.answers_in_slices(records, [10] * 150, at_once=1_000))
    assert (sliced.tolist(), same.tolist()) == (indices.tolist(), values.tolist())
    assert shares.tolist() == of.answers_with_shares(records)[2].tolist() == [of.answer(record).known_ngrams for record in records]
    assert pauses == 1 + 3, "1,500 characters, 1,000 at once; 150 rows, 64 at once"
    pauses, (sliced, _, again) = ran(of.answers_in_slices(records, [1_001] * 150, at_once=1_000))
    assert (sliced.tolist(), again.tolist()) == (indices.tolist(), shares.tolist())
    assert pauses == 150 + 3
    assert ran(of.answers_in_slices([TIE], [1_000], at_once=1_000))[0] == 1
    assert ran(of.answers_in_slices([TIE] * 3, [1_000, 600, 400], at_once=1_000))[0] == 1 + 1, "after a pause all of it counts again"
    assert ran(of.answers_in_slices([TIE] * 3, [1_000, 600, 401], at_once=1_000))[0] == 2 + 1
    _, answer = ran(of.answer_in_slices(CLEAR))
    assert (answer.label_index, answer.row.tolist()) == (2, of.one(CLEAR).tolist())


def test_answers_do_not_depend_on_how_many_are_scored_together(monkeypatch: pytest.MonkeyPatch) -> None:
    of = scorer(Asked())
    records = [TIE, CLEAR, UNKNOWN, {"text": "", "title": ""}] * 9
    together = of.answers_with_shares(records)
    for most_records, most_characters in ((7, 1_000), (1_000, 5)):
        monkeypatch.setattr("passerelle.scorer.scorer.PART_RECORDS", most_records)
        monkeypatch.setattr("passerelle.scorer.scorer.PART_CHARACTERS", most_characters)
        found = of.answers_with_shares(records)
        assert [values.tolist() for values in found] == [values.tolist() for values in together]
    one_by_one = [of.answer(record) for record in records]
    assert [each.label_index for each in one_by_one] == together[0].tolist()
    assert [each.row.tolist() for each in one_by_one] == together[1].tolist()
    assert [each.known_ngrams for each in one_by_one] == together[2].tolist()
    with pytest.raises(DataError, match="holds no text"):
        of.answers([*records, {"text": "aa"}])


def test_records_that_lie_by_column_get_the_answers_of_records() -> None:
    of = scorer(Asked())
    for records in ([TIE, CLEAR, UNKNOWN] * 9, [TIE, CLEAR]):
        columns = RecordColumns({name: [record[name] for record in records] for name in ("title", "text")}, len(records))
        assert list(columns) == records
        assert list(columns[1:-1]) == records[1:-1]
        assert [each.tolist() for each in of.answers_with_shares(columns)] == [each.tolist() for each in of.answers_with_shares(records)]
        with pytest.raises(DataError, match="'title' holds no text"):
            of.answers(RecordColumns({"text": columns.columns["text"]}, len(records)))
        with pytest.raises(DataError, match="'title' holds no text"):
            of.answers(RecordColumns({**columns.columns, "title": [None] * len(records)}, len(records)))
    with pytest.raises(IndexError):
        columns[2]


@pytest.mark.parametrize("record", [{}, {"text": None, "title": ""}, {"text": b"aa", "title": ""}, {"text": "aa"}])
def test_a_record_without_its_text_is_refused(record: dict[str, object]) -> None:
    of = scorer(None)
    with pytest.raises(DataError, match=r"The record's field '(text|title)' holds no text\."):
        of.answer(record)
    with pytest.raises(DataError):
        ran(of.answer_in_slices(record))

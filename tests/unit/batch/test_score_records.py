"""Records that are checked together are checked as each by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passerelle.stages.score_records import record_reader
from tests.unit.batch.tables import SETTINGS, bento_model, loaded

MARKS = "\u0301" * 20
PLAIN = ["aucune réponse depuis mars", "trottoir cassé", "cafe\u0301"]


@pytest.mark.parametrize(
    "others",
    [
        [],
        ["", "délai"],
        ["   "],
        ["\ud800"],
        ["x" * 20_001],
        ["\ufdfa" * 5_000],
        ["a" + MARKS, MARKS + "b"],
        ["a" + MARKS + MARKS],
        [12],
        [None],
    ],
    ids=["none", "empty", "blank", "half a pair", "long", "long once decomposed", "marks of two texts", "marks", "number", "null"],
)
def test_a_batch_is_read_as_its_rows_one_by_one(tmp_path: Path, others: list[Any]) -> None:
    read = record_reader(loaded(bento_model(tmp_path)), SETTINGS)
    rows = [{"text": text, "no": "1"} for text in (*PLAIN, *others, *PLAIN)]
    assert list(read(rows)) == [read([row])[0] for row in rows]
    assert read([]) == []


def test_a_row_without_the_text_is_refused_alone(tmp_path: Path) -> None:
    read = record_reader(loaded(bento_model(tmp_path)), SETTINGS)
    first, second, third = read([{"text": "délai"}, {"no": "1"}, {"text": "mars"}])
    assert (first, third) == ({"text": "délai"}, {"text": "mars"})
    assert second == read([{"no": "1"}])[0]

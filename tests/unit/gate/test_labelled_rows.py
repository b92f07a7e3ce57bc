"""Rows that an operator gives: held to the signature, told what is wrong with them, and kept as they were."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from passerelle.errors import DataError, IntegrityError
from passerelle.gate.kept_rows import keep_rows, kept_rows
from passerelle.gate.labelled_rows import LabelledRows, dictionaries, fitted
from passerelle.model.record import Column
from passerelle.names import GIVEN_ROWS, ModelVersionRef
from passerelle.registry.client import Registry
from tests.unit.gate.run_folders import Folders

COLUMNS = (Column("text", "string"), Column("size", "double", required=False), Column("floor", "long"), Column("new", "boolean"))
REF = ModelVersionRef("comments", 2, "r" * 32)


def rows(table: Mapping[str, Any], *, typed: bool = False, labels: tuple[str, ...] = ("label",)) -> LabelledRows:
    return LabelledRows(pd.DataFrame(table), labels, "rows.csv", typed)


def written() -> dict[str, list[Any]]:
    return {
        "text": ["a", "b"],
        "size": ["1,5", None],
        "floor": ["3", "-1"],
        "new": ["True", "false"],
        "label": ["0", "1"],
        "id": ["7", "8"],
    }


def test_texts_of_a_file_become_what_the_signature_says() -> None:
    found = fitted(rows(written()), COLUMNS)
    assert dictionaries(found.records) == [
        {"text": "a", "size": 1.5, "floor": 3, "new": True},
        {"text": "b", "size": None, "floor": -1, "new": False},
    ]
    assert found.answers["label"].tolist() == ["0", "1"]
    assert found.notes == ("not in the model's signature, and left out: id",)
    assert dictionaries(fitted(found, COLUMNS).table) == dictionaries(found.table), "kept rows are fitted again"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"floor": ["3", "x"]}, "row 3 of the column 'floor' is not of the signature's type, long"),
        ({"floor": ["3", "1.5"]}, "row 3 of the column 'floor'"),
        ({"floor": ["3", None]}, "the column 'floor' is empty in 1 of 2 rows"),
        ({"new": ["yes", "no"]}, "row 2 of the column 'new'"),
        ({"size": ["big", None]}, "row 2 of the column 'size'"),
        ({"label": ["0", None]}, "the right answer, 'label', is empty in 1 of 2 rows"),
        ({"text": None}, "lacks 'text'"),
        ({"label": None}, "lacks 'label'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_without_a_word_of_them(changed: dict[str, Any], message: str) -> None:
    table = {name: values for name, values in (written() | changed).items() if values is not None}
    with pytest.raises(DataError, match=message.replace("(", r"\(")) as refused:
        fitted(rows(table), COLUMNS)
    assert refused.value.hint == "passerelle promote --held-out FILE --label COLUMN"
    assert "big" not in refused.value.message


@pytest.mark.parametrize(
    "changed", [{"text": [1, 2]}, {"floor": ["3", "4"]}, {"new": [1, 0]}, {"size": ["1.5", "2"]}, {"floor": [True, False]}]
)
def test_a_file_with_types_is_taken_at_its_word(changed: dict[str, Any]) -> None:
    table = {"text": ["a", "b"], "size": [1.5, 2.0], "floor": [3, 4], "new": [True, False], "label": [0, 1]}
    assert len(fitted(rows(table, typed=True), COLUMNS).table) == 2
    with pytest.raises(DataError, match="is not of the signature's type"):
        fitted(rows(table | changed, typed=True), COLUMNS)


def test_a_label_that_the_model_takes_is_refused() -> None:
    with pytest.raises(DataError, match="--drop-column text"):
        fitted(rows(written(), labels=("text",)), COLUMNS)
    table = pd.DataFrame([["a", "b", "0"]], columns=["text", "text", "label"])
    with pytest.raises(DataError, match="several columns 'text'"):
        fitted(LabelledRows(table, ("label",), "rows.csv", typed=False), (Column("text", "string"),))


def test_other_types_reach_the_model_as_a_request_has_them() -> None:
    columns = tuple(Column(name, cast("Any", type_)) for name, type_ in (("day", "datetime"), ("photo", "binary"), ("points", "array")))
    table = {"day": [datetime.date(2026, 5, 1)], "photo": [b"\x00\x01"], "points": [np.array([1.0, 2.0])], "label": ["0"]}
    assert dictionaries(fitted(rows(table, typed=True), columns).records) == [{"day": "2026-05-01", "photo": "AAE=", "points": [1.0, 2.0]}]


class Kept(Folders):
    """Runs whose artifacts can be written."""

    def write_file(self, run_id: str, path: str, file: Path) -> None:
        (self.root / run_id / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / run_id / path).write_bytes(file.read_bytes())

    def write_json(self, run_id: str, path: str, content: dict[str, Any]) -> None:
        import json

        (self.root / run_id / path).write_text(json.dumps(content))


def test_kept_rows_are_those_that_were_given_or_none(tmp_path: Path) -> None:
    registry = Kept(tmp_path)
    of = cast("Registry", registry)
    assert kept_rows(of, REF, tmp_path / "none") is None
    given = fitted(rows(written()), COLUMNS)
    keep_rows(of, REF.run_id, given)
    found = kept_rows(of, REF, tmp_path / "there")
    assert found is not None
    assert dictionaries(found.rows.table) == dictionaries(given.table)
    assert (found.rows.labels, found.rows.typed, found.rows.source, found.run_id) == (("label",), False, "rows.csv", REF.run_id)
    path = tmp_path / REF.run_id / GIVEN_ROWS
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="are not those that were kept") as refused:
        kept_rows(of, REF, tmp_path / "changed")
    assert refused.value.hint == "passerelle promote --model comments --version 2 --held-out FILE --label COLUMN"

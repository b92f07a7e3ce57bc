"""A split carries what it needs of a file to a machine without its disk, and no more."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from passerelle.batch import line_ranges, table_plan
from passerelle.batch.scored_split import Scoring, score_split
from passerelle.batch.table_file import LocalFile
from passerelle.batch.table_pieces import TablePieces, with_content
from passerelle.batch.table_plan import plan_of
from passerelle.errors import DataError
from tests.unit.batch.tables import recipe_of, table, write_csv, write_parquet


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Scoring:
    return recipe_of(tmp_path_factory.mktemp("model")).scoring()


@pytest.mark.parametrize("name", ["a.csv", "b.parquet"])
def test_the_answers_are_those_of_the_file(tmp_path: Path, scoring: Scoring, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(line_ranges, "RANGE_BYTES", 3_000)
    monkeypatch.setattr("passerelle.batch.table_file.CHUNK_BYTES", 64)
    monkeypatch.setattr(table_plan, "CHUNK_BYTES", 64)
    monkeypatch.setattr(table_plan, "PARQUET_ROWS", 60)
    rows = [{**row, "other": f"not read {row['no']}" * 40} for row in table(250)]
    path = (write_csv if name == "a.csv" else write_parquet)(tmp_path / name, rows)
    plan = plan_of(LocalFile.at(path), ["text", "no"])
    assert len(plan.splits) > 4
    carried = [with_content(split, ("text", "no")) for split in plan.splits]
    expected = [score_split(split, scoring) for split in plan.splits]
    pickled = [pickle.dumps(each) for each in carried]
    path.unlink()
    assert [score_split(pickle.loads(each), scoring) for each in pickled] == expected  # noqa: S301 - our own
    if name == "b.parquet":
        pieces = [each.file.pieces for each in carried if isinstance(each.file, TablePieces)]
        assert len(pieces) == len(carried)
        assert all(len(each) == 3 for each in pieces), "two of three columns, and the footer"


def test_bytes_that_were_not_carried_are_not_made_up() -> None:
    file = TablePieces("a.csv", 100, ((10, b"0123456789"), (50, b"x"), (50, b"xyz")))
    with file.open() as content:
        content.seek(12)
        assert content.read(8) == b"23456789"
        content.seek(50)
        assert content.read(3) == b"xyz"
        with pytest.raises(OSError, match=r"byte 70 of a\.csv"):
            content.seek(70)
            content.read(1)
        content.seek(0, 2)
        assert content.read(1) == b""


def test_a_file_that_was_changed_is_not_carried(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", table(10))
    (split,) = plan_of(LocalFile.at(path), ["text"]).splits
    path.write_text("no,text\n")
    with pytest.raises(DataError, match="was changed while it was scored"):
        with_content(split, ("text",))


def test_a_column_whose_name_holds_dots_is_carried(tmp_path: Path, scoring: Scoring) -> None:
    rows = [{"row.no": each["no"], "text": each["text"], "row": {"other": 1}} for each in table(10)]
    (split,) = plan_of(LocalFile.at(write_parquet(tmp_path / "a.parquet", rows)), ["text", "row.no"]).splits
    named = replace(scoring, ids=("row.no",))
    assert score_split(with_content(split, ("text", "row.no")), named) == score_split(split, named)


def test_a_file_that_is_written_while_it_is_carried_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "a.csv", table(10))
    (split,) = plan_of(LocalFile.at(path), ["text"]).splits
    opened = LocalFile.open
    monkeypatch.setattr(LocalFile, "open", lambda file: (opened(file), path.write_bytes(path.read_bytes() + b"\n"))[0])
    with pytest.raises(DataError, match="was changed while it was scored"):
        with_content(split, ("text",))

"""Files of one input whose columns are not the same."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passerelle.batch.split_rows import rows_of
from passerelle.batch.table_file import LocalFile
from passerelle.batch.table_plan import plan_of
from passerelle.errors import DataError
from passerelle.model.record import Column
from tests.unit.batch.tables import refused_rows, score, scored_rows, write_csv, write_json_lines

TEXTS = ["merci", "bonjour", "merci"]
NUMBERS = ["1", "2", "3"]


def test_another_order_further_columns_and_other_types_give_the_same_answers(tmp_path: Path) -> None:
    rows = [{"no": number, "text": text} for number, text in zip(NUMBERS, TEXTS, strict=True)]
    tables = {
        "plain": pa.table({"no": NUMBERS, "text": TEXTS}),
        "order": pa.table({"text": TEXTS, "further": [[1], [2], [3]], "no": [1, 2, 3]}),
        "dictionary": pa.table({"no": NUMBERS, "text": pa.array(TEXTS).dictionary_encode()}),
        "large": pa.table({"no": NUMBERS, "text": pa.array(TEXTS, pa.large_string())}),
    }
    paths = [write_csv(tmp_path / "a.csv", [{"further": "x", **row} for row in rows], delimiter=";")]
    paths.append(write_json_lines(tmp_path / "b.jsonl", [{"text": row["text"], "no": row["no"], "new": None} for row in rows]))
    for name, content in tables.items():
        paths.append(tmp_path / f"{name}.parquet")
        pq.write_table(content, paths[-1])
    assert score(tmp_path, *paths).refused_rows == 0
    found: dict[str, list[tuple[str, str]]] = {}
    for row in scored_rows(tmp_path):
        found.setdefault(row["input"], []).append((row["no"], row["label"]))
    assert len(found) == len(paths)
    assert len({tuple(answers) for answers in found.values()}) == 1


@pytest.mark.parametrize("texts", [pa.nulls(3), pa.array([b"merci"] * 3), pa.array([1, 2, 3]), pa.array([["merci"]] * 3)])
def test_a_column_that_holds_no_texts_refuses_its_rows_one_by_one(tmp_path: Path, texts: pa.Array) -> None:
    pq.write_table(pa.table({"no": NUMBERS, "text": texts}), tmp_path / "a.parquet")
    assert score(tmp_path, tmp_path / "a.parquet").rows == 0
    assert [(row["row"], row["field"], row["reason"]) for row in refused_rows(tmp_path)] == [
        (row, "text", "must be a text") for row in (1, 2, 3)
    ]


def test_two_columns_of_one_name_are_refused_in_parquet_too(tmp_path: Path) -> None:
    pq.write_table(
        pa.Table.from_arrays([pa.array(TEXTS), pa.array(TEXTS), pa.array(NUMBERS)], ["text", "text", "no"]), tmp_path / "a.parquet"
    )
    with pytest.raises(DataError, match="has two columns 'text'"):
        plan_of(LocalFile.at(tmp_path / "a.parquet"), ["text", "no"])


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_an_optional_column_may_lack_in_one_file(tmp_path: Path, ending: str) -> None:
    path, rows = tmp_path / f"a.{ending}", [{"text": text, "no": number} for number, text in zip(NUMBERS, TEXTS, strict=True)]
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        (write_csv if ending == "csv" else write_json_lines)(path, rows)
    columns = [Column("text", "string"), Column("body", "string", required=False)]
    (split,) = plan_of(LocalFile.at(path), ["text", "no"]).splits
    assert [row for batch in rows_of(split, columns, ["no"]) for row in batch] == rows

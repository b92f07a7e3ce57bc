"""Files that are no ordinary tables are read as they are meant, refused as a whole before anything is scored, or refused row by row."""

from __future__ import annotations

import datetime as dt
import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passerelle.batch import split_rows
from passerelle.batch.table_file import LocalFile, LocalFolder
from passerelle.errors import DataError
from tests.unit.batch.tables import refused_rows, score, scored_rows

ROW = {"no": "1", "text": "merci"}


def refusals(root: Path, path: Path, ids: Sequence[str] = ("no",)) -> tuple[list[str], list[tuple[int, str, str | None]]]:
    """Return the first id of each row that is scored, and number, reason and column of the others."""
    score(root, path, ids=ids)
    return [row[ids[0]] for row in scored_rows(root)], [(row["row"], row["reason"], row["field"]) for row in refused_rows(root)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"no,text\r1,merci\r2,bonjour\r", "end in carriage returns alone"),
        ("a.jsonl", b'{"no": "1", "text": "a"}\r{"no": "2", "text": "b"}\r', "end in carriage returns alone"),
        ("a.jsonl", json.dumps(ROW).encode("utf-16"), "is in UTF-16"),
        ("a.csv", "no,text\n1,merci\n".encode("utf-32"), "is in UTF-32"),
        ("a.csv", b"no,text," + b"x" * (1 << 20) + b"\n1,merci,x\n", "has no end within 1 MiB"),
    ],
    ids=["returns-csv", "returns-jsonl", "utf-16", "utf-32", "header"],
)
def test_lines_that_would_not_be_found_are_refused_before_anything_is_scored(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        score(tmp_path, tmp_path / name)


def test_one_carriage_return_costs_its_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'no,text\n1,mer\rci\n2,"mer\rci\n"\n3,merci\r\r\n\n5,merci')
    assert refusals(tmp_path, path) == (
        ["2", "3", "5"],
        [(1, "holds a carriage return or a quote that must stand within quotes", None), (4, "is blank", None)],
    )


def test_a_byte_order_mark_of_json_lines_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROW), encoding="utf-8-sig")
    assert refusals(tmp_path, path) == (["1"], [])


def test_a_comma_is_no_delimiter_in_a_table_of_tabs(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\nbonjour, merci\n", encoding="utf-8")
    assert refusals(tmp_path, path, ids=("text",)) == (["bonjour, merci"], [])


def test_a_large_dictionary_of_parquet_is_no_large_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_rows, "_MOST_CELL_BYTES", 300)
    texts = [f"merci {place}" for place in range(60)] + ["x" * 301]
    table = pa.table({"no": pa.array(range(61)).dictionary_encode(), "text": pa.array(texts).dictionary_encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    names, refused = refusals(tmp_path, tmp_path / "a.parquet")
    assert names == [str(place) for place in range(60)]
    assert [row for row, _, _ in refused] == [61]


def test_a_value_that_python_does_not_have_costs_its_row_alone(tmp_path: Path) -> None:
    no_text = pa.Array.from_buffers(pa.string(), 4, [None, pa.py_buffer(struct.pack("<5i", 0, 1, 3, 5, 7)), pa.py_buffer(b"\xffabcdef")])
    days = pa.array([1, 2**31 - 1, 2, 3], pa.int32()).cast(pa.date32())
    times = pa.array([1, 2, 2**62, 3], pa.timestamp("us"))
    pq.write_table(pa.table({"day": days, "text": no_text, "time": times}), tmp_path / "a.parquet")
    assert refusals(tmp_path, tmp_path / "a.parquet", ids=("day", "time")) == (
        [str(dt.date(1970, 1, 4))],
        [
            (1, "is not valid Unicode", "text"),
            (2, "holds a value that cannot be read", "day"),
            (3, "holds a value that cannot be read", "time"),
        ],
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match="is no file that can be read twice"):
        LocalFile.at(tmp_path / "a.csv")


def test_a_name_that_the_output_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.csv")
    path.write_text("no,text\n1,merci\n2,\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"caf\\udce9\.csv is not UTF-8"):
        LocalFile.at(path)


def test_two_processes_of_one_number_write_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, replace, beside = LocalFolder(tmp_path), Path.replace, []

    def replaced(path: Path, target: Path) -> Path:
        beside.append(path)
        if len(beside) == 1:
            folder.write("a.parquet", b"second")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replaced)
    folder.write("a.parquet", b"first")
    assert (tmp_path / "a.parquet").read_bytes() == b"first"
    assert len(set(beside)) == 2
    assert all(path.name.startswith(".") for path in beside), "a folder of tables is read without it"

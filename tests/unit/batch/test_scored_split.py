"""Rows are scored as the service answers them, and none is lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passerelle.batch import line_ranges
from passerelle.batch.job import SUMMARY_FILE
from passerelle.batch.scored_split import Scoring, score_split
from passerelle.batch.table_file import LocalFile
from passerelle.batch.table_plan import plan_of
from passerelle.errors import DataError
from passerelle.model.answer import answer_of
from passerelle.model.loaded import LoadedModel
from passerelle.serving.answers import predicted
from passerelle.serving.contract import RequestError, contract_of
from passerelle.stages.score_records import record_reader
from tests.unit.batch.tables import (
    SETTINGS,
    bento_model,
    loaded,
    refused_rows,
    score,
    scored_rows,
    table,
    write_csv,
    write_json_lines,
    write_parquet,
)
from tests.unit.serving.adopted import adopted_runtime

#: Of each, what the service refuses it for, if it does.
ROWS: list[dict[str, Any]] = [
    {"no": "1", "text": "aucune réponse depuis mars"},
    {"no": "2", "text": ""},
    {"no": "3", "text": "   "},
    {"no": "4", "text": "x" * 20_001},
    {"no": "5", "text": 12},
    {"no": "6", "text": None},
    {"no": "7"},
    {"no": "8", "text": "a" + "\u0301" * 31},
    {"no": "9", "text": "trottoir cassé"},
    {"no": "10", "text": "\ufdfa" * 5_000},
    {"no": "11", "text": "zzz"},
]


def service_answer(root: Path, record: dict[str, Any]) -> tuple[str, float | None, bool] | tuple[str, str | None]:
    """Return what /classify answers: label, probability and review, or message and field."""
    from passerelle.serving.record_texts import RecordTexts

    model = loaded(bento_model(root))
    contract = contract_of(model.description.columns, max_text_characters=20_000, max_records=1, example=None)
    try:
        read = contract.read_one(json.dumps(record).encode())[0]
        RecordTexts(["text"], most_characters=20_000, most_batch_characters=1 << 20).size_bytes(read)
    except RequestError as error:
        return error.message, error.field
    answer = answer_of(model.rows([read])[0], model.labels, review_threshold=SETTINGS.review_threshold)
    return answer.label, answer.probability, answer.review


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_each_row_gets_the_services_answer_or_its_refusal(tmp_path: Path, ending: str) -> None:
    rows = ROWS if ending == "jsonl" else [row for row in ROWS if row["no"] not in {"5", "7"}]
    path = (write_json_lines if ending == "jsonl" else write_parquet)(tmp_path / f"table.{ending}", rows)
    done = score(tmp_path, path)
    scored = {row["no"]: row for row in scored_rows(tmp_path)}
    refused = {row["ids"]["no"]: row for row in refused_rows(tmp_path)}
    assert (done.rows, done.refused_rows) == (len(scored), len(refused))
    assert scored.keys() | refused.keys() == {row["no"] for row in rows}
    assert scored.keys() & refused.keys() == set()
    for number, row in enumerate(rows, 1):
        name = row["no"]
        expected = service_answer(tmp_path, {key: value for key, value in row.items() if key != "no"})
        if name in scored:
            found = scored[name]
            assert (found["label"], found["probability"], found["review"]) == expected, name
            assert (found["row"], found["model_version"]) == (number, "7")
        else:
            assert (refused[name]["reason"], refused[name]["field"]) == expected, name
            assert refused[name]["row"] == number


@pytest.mark.parametrize(
    ("task", "value", "kind", "expected"),
    [
        ("regression", 1.5, "parquet", {"prediction": 1.5}),
        ("regression", {"$number": "NaN"}, "jsonl", {"prediction": None}),
        ("clustering", 3, "parquet", {"prediction": "3"}),
        ("multioutput", {"low": 1.0, "high": None}, "jsonl", {"prediction": {"low": 1.0, "high": None}}),
        ("multilabel", ["a"], "jsonl", {"labels": [{"label": "a", "probability": None, "given": True}]}),
    ],
)
def test_a_model_that_is_no_classifier_answers_as_predict(tmp_path: Path, task: Any, value: Any, kind: str, expected: Any) -> None:
    def predict(record: Any) -> Any:
        if record["text"] == "zzz":
            raise ValueError
        return value

    runtime, _ = adopted_runtime(tmp_path / "model", task, predict, classes=["a"] if task == "multilabel" else ())
    model = runtime.ready()
    path = write_csv(tmp_path / "table.csv", [{"no": "1", "text": "aucune réponse"}, {"no": "2", "text": "zzz"}])
    plan = plan_of(LocalFile.at(path), ["text", "no"])
    scoring = Scoring(model, record_reader(model, SETTINGS), ("no",), output_format=kind, answer_of=predicted)
    model.lineage["artifact_digest"] = "sha256:0"  # type: ignore[index]  # a dictionary
    found = score_split(plan.splits[0], scoring)
    assert (found.rows, found.refused_rows) == (1, 1)
    assert json.loads(found.refused)["reason"] == "holds a value that the model cannot take"
    (row,) = [json.loads(found.content)] if kind == "jsonl" else pq.read_table(pa.BufferReader(found.content)).to_pylist()
    assert {name: row[name] for name in expected} == expected
    assert (row["no"], row["row"], row["model_version"], "label" in row) == ("1", 1, "7", False)


def test_formats_delimiters_and_encodings_give_the_same_answers(tmp_path: Path) -> None:
    rows = table(250)
    found = []
    for place, path in enumerate(
        (
            write_csv(tmp_path / "a.csv", rows),
            write_csv(tmp_path / "b.csv", rows, delimiter=";", encoding="utf-8-sig"),
            write_csv(tmp_path / "c.csv", rows, delimiter="\t", encoding="cp1252"),
            write_csv(tmp_path / "d.csv", [{"text": row["text"], "more": "é", "no": row["no"]} for row in rows]),
            write_json_lines(tmp_path / "e.jsonl", rows),
            write_parquet(tmp_path / "f.parquet", rows),
        )
    ):
        assert score(tmp_path, path, output=str(place)).refused_rows == 0
        found.append([(row["no"], row["row"], row["label"], row["probability"]) for row in scored_rows(tmp_path, str(place))])
    assert [row[:2] for row in found[0]] == [(row["no"], number) for number, row in enumerate(rows, 1)]
    assert all(each == found[0] for each in found[1:])


def test_the_output_is_the_same_in_each_format(tmp_path: Path) -> None:
    rows = table(60)
    rows[7]["text"] = " "
    path = write_csv(tmp_path / "a.csv", [{**row, "no": f'{row["no"]} "a", b\nc'} for row in rows])
    counts = {kind: score(tmp_path, path, output=kind, output_format=kind) for kind in ("parquet", "csv", "jsonl")}
    assert {(done.rows, done.refused_rows) for done in counts.values()} == {(59, 1)}
    expected = scored_rows(tmp_path, "parquet")
    lines = [line for file in (tmp_path / "jsonl" / "scored").glob("*.jsonl") for line in file.read_text().splitlines()]
    assert [json.loads(line) for line in lines] == expected
    (file,) = (tmp_path / "csv" / "scored").glob("*.csv")
    with file.open(newline="", encoding="utf-8") as text:
        found = list(csv.DictReader(text))
    assert list(found[0]) == list(expected[0])
    assert [(row["no"], row["label"], float(row["probability"])) for row in found] == [
        (row["no"], row["label"], row["probability"]) for row in expected
    ]
    (tmp_path / "csv" / SUMMARY_FILE).unlink()
    again = score(tmp_path, path, output="csv", output_format="csv")
    assert (again.done_before, again.rows, again.refused_rows) == (1, 59, 1)


def test_the_output_holds_no_text_unless_it_is_named_and_then_a_redacted_one(tmp_path: Path) -> None:
    texts = ["délai, appelez le 06 12 34 56 78", "\u200b" * 40 + " jean.dupont@example.org"]
    path = write_json_lines(tmp_path / "a.jsonl", [{"no": "06 12 34 56 78", "text": text} for text in texts])
    score(tmp_path, path, output="without")
    score(tmp_path, path, output="with", ids=("no", "text"))
    assert not any("appelez" in str(value) for row in scored_rows(tmp_path, "without") for value in row.values())
    found = [row["text"] for row in scored_rows(tmp_path, "with")] + [row["ids"]["text"] for row in refused_rows(tmp_path, "with")]
    assert len(found) == 2
    assert found[0].startswith("délai, appelez le ")
    assert not any(part in text for text in found for part in ("34 56", "dupont"))
    assert {row["no"] for row in scored_rows(tmp_path, "with")} == {"06 12 34 56 78"}, "other columns are repeated as they are"


def test_ids_of_answers_are_all_different_and_the_same_at_each_run(tmp_path: Path) -> None:
    path, other = (write_csv(tmp_path / name, table(250)) for name in ("a.csv", "b.csv"))
    score(tmp_path, path, other, output="first")
    score(tmp_path, path, other, output="second")
    ids = [row["prediction_id"] for row in scored_rows(tmp_path, "first")]
    assert len(set(ids)) == len(ids) == 500
    assert ids == [row["prediction_id"] for row in scored_rows(tmp_path, "second")]


def test_rows_of_csv_that_cannot_be_read_are_refused_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_ranges, "MOST_ROW_BYTES", 3 << 20)
    path = tmp_path / "table.csv"
    lines = [b"no,text", b"1,merci", b"", b"2", b"3,merci,beaucoup", b"4,d\xe9lai", "5,délai".encode()]
    lines += [b"6," + b"x" * (5 << 20), b"7,merci"]
    path.write_bytes(b"\r\n".join(lines))
    score(tmp_path, path)
    assert [row["no"] for row in scored_rows(tmp_path)] == ["1", "5", "7"]
    assert [(row["row"], row["reason"]) for row in refused_rows(tmp_path)] == [
        (2, "is blank"),
        (3, "has 1 cells, and the header has 2"),
        (4, "has 3 cells, and the header has 2"),
        (5, "is not valid Unicode"),
        (7, "is longer than 16 MiB"),
    ]


def test_lines_that_are_no_json_objects_are_refused_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_bytes(b'{"no": 1, "text": "merci"}\n{"no"\n[]\n\n{"no": 5, "text": "\xe9"}\n{"no": 6, "text": "merci"}')
    score(tmp_path, path)
    assert [(row["no"], row["row"]) for row in scored_rows(tmp_path)] == [("1", 1), ("6", 6)]
    reasons = [row["reason"] for row in refused_rows(tmp_path)]
    assert reasons == ["is not JSON in UTF-8", "is not a JSON object", "is blank", "is not JSON in UTF-8"]


def test_a_huge_cell_of_parquet_is_refused_and_its_neighbours_are_scored(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "table.parquet", [{"no": str(n), "text": "x" * (3 << 20) if n == 2 else "merci"} for n in range(5)])
    score(tmp_path, path)
    assert [row["no"] for row in scored_rows(tmp_path)] == ["0", "1", "3", "4"]
    assert [(row["row"], row["reason"]) for row in refused_rows(tmp_path)] == [(3, "holds a cell of more than 1 MiB")]


@pytest.mark.parametrize(
    ("name", "content", "message", "command"),
    [
        ("a.csv", b"no,texte\n1,merci\n", "has no column 'text'", "head -n 1"),
        ("a.csv", b"", "has no header", "ls -l"),
        ("a.csv", b"no,text,text\n1,a,b\n", "two columns 'text'", "head -n 1"),
        ("a.csv", b'no,text\n1,"merci\n2,merci\n', "ends within quotes", "grep -n '\"'"),
        ("a.csv", "no,text\n1,é\n".encode("utf-16"), "is in UTF-16", "iconv"),
        ("a.parquet", b"PAR1 and no more", "cannot be read as Parquet", "ls -l"),
        ("a.parquet", b"", "cannot be read as Parquet", "ls -l"),
    ],
)
def test_a_table_that_cannot_be_scored_is_refused_before_anything_is(
    tmp_path: Path, name: str, content: bytes, message: str, command: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as refused:
        plan_of(LocalFile.at(tmp_path / name), ["text", "no"])
    assert (refused.value.hint or "").startswith(command)


def test_the_columns_of_a_parquet_file_are_named_and_those_of_csv_are_not(tmp_path: Path) -> None:
    """The first line of a CSV file may be somebody's text."""
    for name, write in (("a.parquet", write_parquet), ("a.csv", write_csv)):
        with pytest.raises(DataError) as refused:
            plan_of(LocalFile.at(write(tmp_path / name, [{"no": "1", "avis": "merci"}])), ["text"])
        assert ("it has 'no', 'avis'" in refused.value.message, "avis" in refused.value.message) == (name == "a.parquet",) * 2


def test_a_damaged_page_of_parquet_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"no": [str(n) for n in range(9)], "text": ["merci"] * 9}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet: a page"):
        score(tmp_path, path)


def test_quotes_that_hide_rows_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'no,text\n1,un tube de 5" casse\n2,et un autre de 3" aussi\n3,merci\n')
    with pytest.raises(DataError, match="within a cell that has no quotes"):
        score(tmp_path, path)


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", table(5))
    file = LocalFile.at(path)
    path.write_bytes(path.read_bytes() + b"x,merci\n")
    with pytest.raises(DataError, match="was changed while it was scored"):
        file.open()


def test_labels_that_are_no_texts_are_written_as_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadedModel, "labels", (0, 1, 2))
    score(tmp_path, write_json_lines(tmp_path / "table.jsonl", ROWS[:1]))
    assert [row["label"] for row in scored_rows(tmp_path)] == ["0"]

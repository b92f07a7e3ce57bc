"""What options say of a model: its signature, the names of its labels, and the inputs of its golden predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import NotFoundError, UsageError
from passerelle.stages.adopt_options import AdoptOptions, one_text, read_labels_file, read_signature_file
from passerelle.stages.adopt_signature import served_signature
from passerelle.stages.golden_inputs import golden_inputs

TEXT = {"type": "string", "name": "text", "required": True}
AGE = {"type": "long", "name": "age", "required": True}
NOTE = {"type": "string", "name": "note", "required": False}
ADDRESS = "models:/m/1"


def signature(*columns: dict[str, Any]) -> dict[str, str]:
    return {"inputs": json.dumps(columns), "outputs": "[]"}


def file(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("logged", [None, {"inputs": '[{"type": "string"}]'}, {"inputs": '[{"type": "tensor", "tensor-spec": {}}]'}])
def test_a_signature_without_names_needs_an_option(logged: dict[str, str] | None) -> None:
    with pytest.raises(UsageError, match="does not say which columns") as refused:
        served_signature(logged, AdoptOptions(), address=ADDRESS)
    assert refused.value.hint == "passerelle adopt models:/m/1 --text-column text\npasserelle adopt models:/m/1 --signature FILE"
    assert served_signature(logged, AdoptOptions(text_column="comment"), address=ADDRESS).text_column == "comment"


def test_a_model_without_names_takes_one_text() -> None:
    assert (one_text((), ADDRESS), one_text(("comment",), ADDRESS)) == (None, "comment")
    with pytest.raises(UsageError, match="--text-column names 2 columns, and is for a model that takes one text") as refused:
        one_text(("subject", "body"), ADDRESS)
    assert refused.value.hint == "passerelle adopt models:/m/1 --signature FILE"


def test_options_take_columns_away_and_warn_of_those_named_like_a_label() -> None:
    target = {"type": "long", "name": "Target", "required": True}
    logged = signature(AGE, target)
    whole = served_signature(logged, AdoptOptions(), address=ADDRESS)
    assert "passerelle adopt models:/m/1 --drop-column Target" in whole.warnings[0]
    dropped = served_signature(logged, AdoptOptions(drop_columns=("Target",)), address=ADDRESS)
    assert (dropped.dropped, [column["name"] for column in dropped.columns], dropped.warnings) == (("Target",), ["age"], ())
    with pytest.raises(UsageError, match="--drop-column names 'id', and the signature has age, Target"):
        served_signature(logged, AdoptOptions(drop_columns=("id",)), address=ADDRESS)
    with pytest.raises(UsageError, match="this one has age, Target"):
        served_signature(logged, AdoptOptions(text_column="text"), address=ADDRESS)


def test_a_file_with_a_signature_is_read_in_each_of_mlflows_forms(tmp_path: Path) -> None:
    inside = [{"name": "age", "type": "long"}]
    for content in (
        json.dumps({"inputs": inside}),
        json.dumps({"signature": {"inputs": json.dumps(inside)}}),
        "inputs:\n- {name: age, type: long}\n",
    ):
        assert json.loads(read_signature_file(file(tmp_path, "s.json", content))["inputs"]) == inside
    for content in ("[]", "{}", "a: [", '{"outputs": []}'):
        with pytest.raises(UsageError, match=r"signature|neither"):
            read_signature_file(file(tmp_path, "s.json", content))


def test_labels_are_named_by_their_json(tmp_path: Path) -> None:
    assert read_labels_file(file(tmp_path, "l.json", '["no", "yes"]')) == {"0": "no", "1": "yes"}
    assert read_labels_file(file(tmp_path, "l.json", '{"a": "A", "1": "B", "true": "C"}')) == {'"a"': "A", "1": "B", "true": "C"}
    for content in ("", "[]", "3", '{"a": 1}'):
        with pytest.raises(UsageError, match="labels"):
            read_labels_file(file(tmp_path, "l.json", content))


def test_the_digest_is_that_of_the_contents(tmp_path: Path) -> None:
    one, other = file(tmp_path, "a.json", "{}"), file(tmp_path, "b.json", "{}")
    assert AdoptOptions(labels=one).digest == AdoptOptions(labels=other).digest != AdoptOptions(signature=one).digest
    assert AdoptOptions(drop_columns=("a", "b")).digest == AdoptOptions(drop_columns=("b", "a")).digest
    assert AdoptOptions(text_column="the text", drop_columns=("a",)).typed == " --text-column 'the text' --drop-column a"
    with pytest.raises(NotFoundError, match=r"none\.json cannot be read"):
        AdoptOptions(labels=tmp_path / "none.json").check()
    with pytest.raises(UsageError, match="both say"):
        AdoptOptions(signature=one, text_column="text").check()


def test_inputs_are_made_from_the_signature() -> None:
    found = golden_inputs([TEXT, AGE, NOTE], examples=None, logged=None, address=ADDRESS)
    assert (found.origin, found.examples) == ("signature", 0)
    assert len(found.records) >= 8
    assert any("😡" in record["text"] for record in found.records), "hostile ones are among them"
    assert all(isinstance(record["age"], int) for record in found.records)
    assert "note" not in found.records[-1], "an optional column is left out once"


@pytest.mark.parametrize(
    "logged",
    [
        {"columns": ["text", "age"], "data": [["a", 1], ["b", 2]]},
        {"dataframe_split": {"columns": ["text", "age"], "data": [["a", 1], ["b", 2]]}},
        [{"text": "a", "age": 1}, {"text": "b", "age": 2}],
        [["a", 1], ["b", 2]],
        {"inputs": [["a", 1.0], ["b", 2.0]]},
    ],
)
def test_the_logged_example_comes_first(logged: Any) -> None:
    found = golden_inputs([TEXT, AGE], examples=None, logged=logged, address=ADDRESS)
    assert (found.origin, found.examples, found.records[:2]) == ("input_example", 2, ({"text": "a", "age": 1}, {"text": "b", "age": 2}))
    assert len(found.records) >= 10


def test_texts_that_a_service_refuses_are_no_golden_inputs() -> None:
    found = golden_inputs([TEXT], examples=None, logged=["a", "", "  ", "b" * 20_001, "a" + "\u0301" * 40, "c"], address=ADDRESS)
    assert (found.examples, found.records[:2]) == (2, ({"text": "a"}, {"text": "c"}))
    assert all(record["text"].strip() for record in found.records)


def test_examples_that_are_not_taken_are_there_for_the_model_to_choose_from() -> None:
    few = golden_inputs([TEXT], examples=None, logged=["a", "b"], address=ADDRESS)
    assert few.others == ()
    many = golden_inputs([TEXT], examples=None, logged=[f"t{number}" for number in range(100_000)], address=ADDRESS)
    assert many.examples <= 64
    assert 500 <= len(many.others) <= 1_000
    taken = {record["text"] for record in many.records}
    assert not any(record["text"] in taken for record in many.others)


def test_an_example_of_another_form_is_passed_over() -> None:
    for logged in ("text", 3, [], [[1, 2, 3]], {"other": 1}):
        assert golden_inputs([TEXT, AGE], examples=None, logged=logged, address=ADDRESS).origin == "signature"
    assert golden_inputs([TEXT], examples=None, logged=["a", "b"], address=ADDRESS).records[:2] == ({"text": "a"}, {"text": "b"})


def test_the_operators_examples_are_read_from_each_kind_of_file(tmp_path: Path) -> None:
    contents = {
        "e.csv": "text,age,label\na,1,x\n",
        "e.json": '[{"text": "a", "age": 1, "label": "x"}]',
        "e.jsonl": '{"text": "a", "age": 1, "label": "x"}\n',
    }
    for name, content in contents.items():
        found = golden_inputs([TEXT, AGE, NOTE], examples=file(tmp_path, name, content), logged=["other"], address=ADDRESS)
        assert (found.origin, found.records[0], found.ignored) == ("examples", {"text": "a", "age": 1}, ("label",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\na\n", "lacks the column 'age' of the signature; it has text"),
        ("text,age\na,\n", "no value for 'age' in row 1"),
        ("text,age\na,1.5\n", "row 1 of .*, column 'age': the value is not of the type long"),
        ("text,age\n", "holds no row"),
        ("", "cannot be read as rows"),
    ],
)
def test_examples_that_do_not_fit_are_refused_by_row_and_column(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        golden_inputs([TEXT, AGE], examples=file(tmp_path, "e.csv", content), logged=None, address=ADDRESS)

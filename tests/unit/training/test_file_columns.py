"""What people are told of a file's columns: what they hold and the line to type, and never a text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from passerelle.errors import DataError
from passerelle.stages.training_file import which_columns
from passerelle.training.dataset import read_data
from passerelle.training.file_columns import columns_of

PUBLIC = Path(__file__).resolve().parents[2] / "data" / "service_public_questions.csv"


def write(path: Path, table: pd.DataFrame) -> Path:
    """Write the table in the format of the path's end."""
    if ".jsonl" in path.name:
        path.write_bytes(gzip.compress("\n".join(json.dumps(each, ensure_ascii=False) for each in table.to_dict("records")).encode()))
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("Fiches")
        for row in [tuple(table.columns), *table.itertuples(index=False)]:
            sheet.append(list(row))
        book.save(path)
    else:
        table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["fiches.csv", "fiches.xlsx", "fiches.jsonl.gz"])
def test_public_questions_are_described_the_same_in_each_format(tmp_path: Path, name: str) -> None:
    table = pd.read_csv(PUBLIC, dtype=str).head(600)
    table["texte"] = table["texte"].str.strip()
    path = write(tmp_path / name, table)
    error = which_columns(path, None, [], [], None)
    assert "It has 600 rows" in error.message
    kinds = {column.name: column.kind for column in columns_of(table)}
    assert (kinds["texte"], kinds["theme"]) == ("text", "class")
    assert error.hint == f"passerelle train --data {path} --text-column texte --label-column theme"
    assert table["texte"].iloc[0] not in error.message
    data = read_data(path, text_column="texte", label_column="theme")
    assert data.digest == read_data(write(tmp_path / "same.csv", table), text_column="texte", label_column="theme").digest


LONG: list[object] = [f"un texte long {number}" for number in range(12)]


def test_each_kind_of_column_is_told_apart() -> None:
    columns: dict[str, list[object]] = {
        "id": [f"F{number}" for number in range(12)],
        "texte": LONG,
        "classe": ["a", "b"] * 6,
        "note": ["1,5", "2"] * 6,
        "jour": ["2026-11-26", "26/11/2026"] * 6,
        "urgent": ["oui", "non"] * 6,
        "vide": [None] * 12,
        "mots": ["un mot", "autre"] * 4 + [None] * 4,
    }
    found = columns_of(pd.DataFrame(columns))
    assert [column.kind for column in found] == ["identifier", "text", "class", "number", "date", "true or false", "empty", "words"]
    assert (found[-1].filled, found[-1].distinct) == (8 / 12, 2)


TWO: list[object] = ["x", "y"] * 6
SUBJECTS: list[object] = ["il y a longtemps", "il y a longtemps", "b c d"] * 4
LINES: list[tuple[dict[str, list[object]], list[str], str | None, str]] = [
    ({"objet": SUBJECTS, "motif": TWO}, [], None, "--text-column COLUMN --label-column motif"),
    ({"corps": LONG, "a": TWO, "b": TWO}, [], None, "--text-column corps --label-column COLUMN"),
    ({"corps": LONG, "titre": LONG, "b": TWO}, ["titre"], None, "--text-column titre --label-column b"),
    ({"corps": LONG, "note": ["1", "2"] * 6}, [], "note", "--text-column corps --label-column note"),
    ({"longueur": [str(n) for n in range(12)], "espece": TWO}, [], None, "--feature-column longueur --label-column espece"),
    ({"le texte": LONG, "motif": TWO}, [], None, "--text-column 'le texte' --label-column motif"),
]


@pytest.mark.parametrize(("columns", "texts", "label", "hint"), LINES)
def test_the_line_to_type_names_what_is_plain(
    tmp_path: Path, columns: dict[str, list[object]], texts: list[str], label: str | None, hint: str
) -> None:
    path = write(tmp_path / "a.csv", pd.DataFrame(columns))
    assert which_columns(path, None, texts, [], label).hint == f"passerelle train --data {path} {hint}"


SECRET = "Je suis malade et personne ne répond"
NO_HEADER = [
    "\n".join([f"{SECRET},Délai", "une autre lettre,Bug", "encore une lettre,Délai"]),
    "\n".join(["Secret,a", "Merci,b", "Bonjour,a"]),
    "\n".join([f"1,{SECRET}", "2,une autre", "3,encore"]),
    "\n".join([f"{SECRET};2026-11-26", "une autre;2026-11-25"]),
]


@pytest.mark.parametrize("content", NO_HEADER)
def test_a_file_without_a_header_is_noticed_and_its_first_row_is_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "avis.csv"
    path.write_text(content)
    with pytest.raises(DataError) as refused:
        read_data(path, text_column="avis", label_column="motif")
    for error in (refused.value, which_columns(path, None, [], [], None)):
        assert "avis.csv seems to have no header row" in error.message
        assert "ecret" not in error.message
        assert "malade" not in error.message + str(error.hint)


@pytest.mark.parametrize("name", [SECRET, f"{SECRET}.", "Pourquoi ?", "a" * 41, "a\x1b[31m"])
def test_a_name_that_looks_like_a_text_is_not_shown(tmp_path: Path, name: str) -> None:
    path = tmp_path / "avis.jsonl"
    path.write_text("\n".join(json.dumps({name: f"un texte assez long {number}", "motif": "ab"[number % 2]}) for number in range(20)))
    with pytest.raises(DataError) as error:
        read_data(path, text_column="avis", label_column="motif")
    listed = which_columns(path, None, [], [], "motif")
    assert "column 1 (its name looks like a text and is not shown), 'motif'" in error.value.message
    assert name not in error.value.message + listed.message + str(listed.hint)
    assert str(listed.hint).endswith("--text-column COLUMN --label-column motif")


def test_a_header_that_is_there_again_is_a_header(tmp_path: Path) -> None:
    path = tmp_path / "avis.csv"
    path.write_text("texte,motif\na,x\nb,y\ntexte,motif\nc,x\n")
    with pytest.raises(DataError, match="it has 'texte', 'motif'"):
        read_data(path, text_column="avis", label_column="motif")

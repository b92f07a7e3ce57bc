"""Files as people export them are read alike, and what cannot be trained on is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from passerelle.errors import DataError, PasserelleError, UsageError
from passerelle.training.dataset import Dataset, read_data
from passerelle.training.tracking import signature_of

MARKS = "\u0301" * 40
ROWS = [("Où en est ma demande, déposée à l'été ?", "Pb de suivi /Délai"), ("Écran blanc ; rien ne s'affiche", "Bug technique")]

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def table(separator: str = ",") -> str:
    lines = [f"id{separator}avis{separator}motif"]
    lines += [f'{number}{separator}"{text}"{separator}"{label}"' for number, (text, label) in enumerate(ROWS)]
    return "\n".join(lines) + "\n"


def read(path: Path) -> Dataset:
    return read_data(path, text_column="avis", label_column="motif")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table().encode(), []),
        (table().encode("utf-8-sig"), ["byte-order mark"]),
        (table(";").encode(), ["semicolons"]),
        (table(";").encode("latin-1"), ["Windows-1252 (Latin-1)", "semicolons"]),
        (table("\t").encode("utf-16"), ["UTF-16", "tabs"]),
        (table("|").encode(), ["bars"]),
        (table(";").replace("\n", "\r\n").encode("cp1252"), ["Windows-1252", "semicolons"]),
        ((table() + ",,\n,,\n").encode(), ["2 rows without any value"]),
    ],
    ids=["plain", "mark", "semicolon", "latin-1", "utf-16", "bar", "windows", "trailing rows"],
)
def test_the_same_table_is_read_from_each_kind_of_file(write: Write, content: bytes, said: list[str]) -> None:
    data = read(write("avis.csv", content))
    assert list(data.records.columns) == ["text"]
    assert list(zip(data.records["text"], data.labels, strict=True)) == ROWS
    assert len(data.notes) == len(said)
    assert all(words in note for words, note in zip(said, data.notes, strict=True))
    assert data.digest == read(write("plain.csv", table())).digest
    assert data.source == "avis.csv"


def test_parquet_is_read_like_csv(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "avis.parquet"
    pd.DataFrame(ROWS, columns=["avis", "motif"]).to_parquet(path)
    assert read(path).digest == read(write("avis.csv", table())).digest


def test_the_digest_changes_with_a_text_a_label_and_the_order(write: Write) -> None:
    lines = table().splitlines()
    contents = [table(), table().replace("blanc", "noir"), table().replace("Bug", "Panne"), "\n".join([lines[0], lines[2], lines[1]])]
    assert len({read(write("avis.csv", content)).digest for content in contents}) == len(contents)


def test_words_that_look_missing_are_texts(write: Write) -> None:
    data = read(write("avis.csv", "avis,motif\nNA,a\nnull,b\nnan,b\n"))
    assert list(data.records["text"]) == ["NA", "null", "nan"]


def test_a_line_break_in_quotes_stays_in_the_text(write: Write) -> None:
    data = read(write("avis.csv", 'avis,motif\n"Bonjour\nToujours rien",a\noui,b\n'))
    assert data.records["text"].iloc[0] == "Bonjour\nToujours rien"


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "0 bytes": ("", "is empty"),
    "0 rows": ("avis,motif\n", "no row"),
    "missing column": ("texte;motif\na;b\n", "no column 'avis'; it has 'texte', 'motif'"),
    "empty column": ("avis,motif\n,a\n  ,b\n", "the column 'avis' is empty"),
    "column twice": ("avis,motif,avis\na,b,c\n", "2 columns 'avis'"),
    "one class": ("avis,motif\na,x\nb,x\n", "one class only, 'x'"),
    "missing texts": ("avis,motif\na,x\n,y\nb,x\n   ,y\n", "'avis' is empty in 2 of 4 rows: 3, 5"),
    "missing labels": ("avis,motif\na,x\nb,\nc,y\n", "'motif' is empty in 1 of 3 rows: 3"),
    "short row": ("avis,motif\na,x\nb\nc,y\n", "'motif' is empty in 1 of 3 rows: 3"),
    "unquoted comma": ("avis,motif\noui, mais,x\n", "line 2"),
    "open quote": ('avis,motif\n"oui,x\nnon,y\n', "not a CSV table"),
    "workbook": (b"PK\x03\x04rest", "workbook"),
    "binary": (b"avis,motif\n\x00,a\n", "NUL"),
    "no encoding": (b"avis,motif\n" + b"\x81\xe9,a\n", "neither UTF-8 nor Windows-1252"),
    "two encodings": ("avis,motif\né,a\n".encode() + "à,b\n".encode("latin-1"), "neither UTF-8 nor Windows-1252"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_bad_data_is_refused_with_file_reason_and_next_command(write: Write, content: str | bytes, words: str) -> None:
    with pytest.raises(DataError) as refused:
        read(write("avis.csv", content))
    assert words in refused.value.message
    assert "avis.csv" in refused.value.message
    assert refused.value.hint
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("content", [b"PAR1 but not", b"not at all"])
def test_an_unreadable_parquet_file_is_refused(write: Write, content: bytes) -> None:
    with pytest.raises(DataError, match=r"avis\.parquet is not a Parquet file"):
        read(write("avis.parquet", content))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder, not a file"):
        read(tmp_path)


def test_numbers_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "numbers.parquet"
    pd.DataFrame({"avis": [1, 2], "motif": ["a", "b"]}).to_parquet(path)
    with pytest.raises(DataError, match="holds int64, not text"):
        read(path)


def test_missing_rows_are_left_out_when_asked(write: Write) -> None:
    path = write("avis.csv", "avis,motif\na,x\n,y\nb,y\n")
    data = read_data(path, text_column="avis", label_column="motif", drop_missing=True)
    assert list(data.records["text"]) == ["a", "b"]
    assert data.notes == ("1 of 3 rows miss a value and are left out",)


def test_texts_that_the_service_refuses_are_refused_or_left_out_when_asked(write: Write) -> None:
    path = write("avis.csv", f"avis,motif\na,x\n{'e' + chr(0x301) * 31},y\nb,y\n")
    with pytest.raises(
        DataError, match=r"refuses the text of 1 of 3 rows: 3 \(the header is row 1\); the first has more than 30 comb"
    ) as refused:
        read(path)
    assert refused.value.hint == f"passerelle train --data {path} --drop-missing"
    data = read_data(path, text_column="avis", label_column="motif", drop_missing=True)
    assert list(data.records["text"]) == ["a", "b"]
    assert data.notes == ("1 of 3 rows have a text that the service refuses and are left out",)


def test_contradicting_records_are_noted(write: Write) -> None:
    assert read(write("avis.csv", "avis,motif\na,x\na,y\nb,y\n")).notes == ("1 records appear with more than one class",)


def test_columns_that_contradict_each_other_are_refused(write: Write) -> None:
    path = write("avis.csv", table())
    contradictions: list[tuple[str | None, str, list[str] | None]] = [
        (None, "motif", None),
        ("avis", "motif", ["id"]),
        ("avis", "avis", None),
        (None, "motif", ["id", "id"]),
    ]
    for text, label, features in contradictions:
        with pytest.raises(UsageError) as refused:
            read_data(path, text_column=text, label_column=label, feature_columns=features)
        assert isinstance(refused.value, PasserelleError)
        assert refused.value.hint


def test_features_become_numbers_and_words_with_a_decimal_comma(write: Write) -> None:
    path = write("mesures.csv", "longueur;couleur;espece\n1,5;bleu;a\n2,25;vert;b\n")
    data = read_data(path, text_column=None, label_column="espece", feature_columns=["longueur", "couleur"])
    assert data.kind == "tabular"
    assert list(data.records["longueur"]) == [1.5, 2.25]
    assert list(data.records["couleur"]) == ["bleu", "vert"]


def test_several_texts_keep_their_names_and_one_is_called_text(write: Write) -> None:
    path = write("avis.csv", "objet,corps,motif\nPerdu,Mon dossier,a\nBug,Écran blanc,b\n")
    data = read_data(path, text_column=["objet", "corps"], label_column="motif")
    assert (data.kind, data.records.columns.tolist()) == ("text", ["objet", "corps"])
    assert data.joined_texts.tolist() == ["Perdu Mon dossier", "Bug Écran blanc"]
    one = read_data(path, text_column=["corps"], label_column="motif")
    assert one.digest == read_data(path, text_column="corps", label_column="motif").digest
    assert one.joined_texts.tolist() == one.records["text"].tolist() == ["Mon dossier", "Écran blanc"]


@pytest.mark.parametrize(
    ("texts", "content", "message"),
    [
        (["objet", "objet"], "objet,motif\na,x\nb,y\n", "a text column is given twice"),
        (["objet", "corps"], "objet,corps,motif\na,,x\nb,c,y\n", "the column 'corps' is empty in 1 of 2 rows: 2"),
        (["objet", "label"], "objet,label,motif\na,u,x\nb,v,y\n", "cannot have the field 'label'"),
        (["objet", "corps"], f"objet,corps,motif\na,e{MARKS},x\nb,c,y\n", "refuses the text of 1 of 2 rows: 2 .*marks"),
    ],
)
def test_each_of_several_texts_is_checked(write: Write, texts: list[str], content: str, message: str) -> None:
    with pytest.raises(PasserelleError, match=message) as refused:
        read_data(write("avis.csv", content), text_column=texts, label_column="motif")
    assert refused.value.hint


def test_a_text_that_may_be_left_out_is_empty_where_it_is(write: Write) -> None:
    path = write("avis.csv", "objet,corps,motif\nPerdu,,a\nBug,Écran blanc,b\nRien, ,a\n")
    data = read_data(path, text_column="objet", label_column="motif", optional_text_columns=["corps"])
    assert data.records.to_dict("list") == {"objet": ["Perdu", "Bug", "Rien"], "corps": ["", "Écran blanc", ""]}
    assert data.optional_texts == ("corps",)
    inputs = signature_of(data.records.head(1), data.optional_texts).inputs
    assert {each.name: each.required for each in inputs.inputs} == {"objet": True, "corps": False}
    whole = write("entier.csv", "objet,corps,motif\nPerdu,x,a\nBug,y,b\n")
    digests = {read_data(whole, text_column=["objet", *(["corps"] if each else [])], label_column="motif",
                         optional_text_columns=[] if each else ["corps"]).digest for each in (True, False)}  # fmt: skip
    assert len(digests) == 2, "the signature differs, so that the one is not taken for the training of the other"
    missing: tuple[list[str] | None, ...] = ([], None)
    for texts in missing:
        with pytest.raises(UsageError, match="a record may leave out every text"):
            read_data(path, text_column=texts, label_column="motif", optional_text_columns=["corps"])


def test_a_long_text_is_no_feature(write: Write) -> None:
    rows = "".join(
        f"{number},Depuis lundi la rue du quartier {number} est sale,rue {number % 3},{'ab'[number % 2]}\n" for number in range(30)
    )
    path = write("avis.csv", "id,avis libre,rue,motif\n" + rows)
    with pytest.raises(UsageError, match="'avis libre' holds long texts, nearly all different") as refused:
        read_data(path, text_column=None, label_column="motif", feature_columns=["id", "avis libre", "rue"])
    assert refused.value.hint == f"passerelle train --data {path} --text-column 'avis libre' --label-column motif"
    assert read_data(path, text_column=None, label_column="motif", feature_columns=["id", "rue"]).kind == "tabular"


def test_whole_numbers_as_classes_keep_their_look(tmp_path: Path) -> None:
    path = tmp_path / "classes.parquet"
    pd.DataFrame({"avis": ["a", "b"], "motif": [0.0, 1.0]}).to_parquet(path)
    assert list(read(path).labels) == ["0", "1"]

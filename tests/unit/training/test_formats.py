"""The same table is read from each format, and files that are made to harm are refused within bounds."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from passerelle.errors import DataError
from passerelle.training import file_content
from passerelle.training.dataset import Dataset, read_data

ROWS = [
    ("Où en est ma demande ?", "Délai", 3),
    ("Écran blanc ; rien ne s'affiche", "Bug", 0),
    ("Merci", "Bug", 7),
    ("Bonjour\nrien", "Délai", 1),
]
COLUMNS = ("avis", "motif", "jours")


def csv_bytes() -> bytes:
    return pd.DataFrame(ROWS, columns=COLUMNS).to_csv(index=False).encode()


def workbook_bytes(rows: list[tuple[Any, ...]], *, title: str = "Avis", change: Callable[[Any], None] = lambda _: None) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    change(book)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    pd.DataFrame(ROWS, columns=COLUMNS).to_parquet(file)
    return file.getvalue()


OBJECTS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
LINES = "\n".join(json.dumps(each, ensure_ascii=False) for each in OBJECTS)
FORMATS: dict[str, tuple[str, bytes]] = {
    "workbook": ("avis.xlsx", workbook_bytes([COLUMNS, *ROWS])),
    "workbook without its end": ("avis", workbook_bytes([COLUMNS, *ROWS])),
    "workbook in gzip": ("avis.xlsx.gz", gzip.compress(workbook_bytes([COLUMNS, *ROWS]))),
    "lines of JSON": ("avis.jsonl", LINES.encode()),
    "lines of JSON with a mark": ("avis.ndjson", LINES.encode("utf-8-sig")),
    "lines of JSON without their end": ("avis", LINES.encode()),
    "array of JSON": ("avis.json", json.dumps(OBJECTS, indent=1).encode()),
    "Parquet": ("avis.parquet", parquet_bytes()),
    "Parquet in gzip": ("avis.parquet.gz", gzip.compress(parquet_bytes())),
    "gzip": ("avis.csv.gz", gzip.compress(csv_bytes())),
    "gzip of two members": ("avis.csv.gz", gzip.compress(csv_bytes()[:30]) + gzip.compress(csv_bytes()[30:])),
    "gzip without its end": ("avis.csv", gzip.compress(csv_bytes())),
}


def read(folder: Path, name: str, content: bytes, *, sheet: str | None = None, drop_missing: bool = False) -> Dataset:
    path = folder / name
    path.write_bytes(content)
    return read_data(path, text_column="avis", label_column="motif", sheet=sheet, drop_missing=drop_missing)


@pytest.mark.parametrize(("name", "content"), FORMATS.values(), ids=FORMATS)
def test_each_format_gives_the_same_texts_labels_and_numbers(tmp_path: Path, name: str, content: bytes) -> None:
    data = read(tmp_path, name, content)
    assert list(zip(data.records["text"], data.labels, strict=True)) == [(text, label) for text, label, _ in ROWS]
    assert data.digest == read(tmp_path, "plain.csv", csv_bytes()).digest
    numbers = read_data(tmp_path / name, text_column=None, label_column="motif", feature_columns=["jours"])
    assert list(numbers.records["jours"]) == [3.0, 0.0, 7.0, 1.0]


def test_cells_of_a_workbook_become_what_csv_would_hold(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        ("avis", "motif", "jour"),
        ("a", 1, datetime.datetime(2026, 11, 26)),
        (75011, 2.0, datetime.datetime(2026, 11, 26, 12, 30)),
        (0.5, 1, None),
    ]
    data = read(tmp_path, "avis.xlsx", workbook_bytes(rows))
    assert list(data.records["text"]) == ["a", "75011", "0.5"]
    assert list(data.labels) == ["1", "2", "1"]


def test_merged_cells_hold_for_each_row_and_empty_formulas_are_noted(tmp_path: Path) -> None:
    def change(book: Any) -> None:
        sheet = book["Avis"]
        sheet.merge_cells("B2:B3")
        sheet["C2"] = "=1+1"
        sheet["A5"] = "#N/A"
        sheet["B5"] = "Bug"

    rows: list[tuple[Any, ...]] = [("avis", "motif", "somme"), ("a", "Délai"), ("b", None), ("c", "Bug")]
    data = read(tmp_path, "avis.xlsx", workbook_bytes(rows, change=change), drop_missing=True)
    assert list(data.labels) == ["Délai", "Délai", "Bug"]
    assert data.notes[:2] == (
        "1 merged cells: each row that one covers gets its value",
        "1 formulas hold no value, and count as empty: open the workbook in a spreadsheet, and save it again",
    )


def test_a_sheet_is_named_or_the_first_that_is_shown(tmp_path: Path) -> None:
    def change(book: Any) -> None:
        hidden = book.create_sheet("Listes", 0)
        hidden.sheet_state = "hidden"
        book.active = 1
        other = book.create_sheet("2025")
        for row in (COLUMNS, ("vieux", "x", 1), ("ancien", "y", 2)):
            other.append(row)

    content = workbook_bytes([COLUMNS, *ROWS], change=change)
    data = read(tmp_path, "avis.xlsx", content)
    assert data.records["text"].iloc[0] == ROWS[0][0]
    assert data.notes == ("avis.xlsx has 3 sheets; read is 'Avis' (--sheet names another)",)
    assert list(read(tmp_path, "avis.xlsx", content, sheet="2025").labels) == ["x", "y"]
    with pytest.raises(DataError, match="no sheet '2024'; it has 'Listes', 'Avis', '2025'"):
        read(tmp_path, "avis.xlsx", content, sheet="2024")
    with pytest.raises(DataError, match="is no workbook"):
        read(tmp_path, "avis.csv", csv_bytes(), sheet="Avis")


def archive(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as found:
        for name, content in parts.items():
            found.writestr(name, content)
    return file.getvalue()


def changed_workbook(part: str, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(workbook_bytes([COLUMNS, *ROWS]))) as book:
        return archive({**{name: book.read(name) for name in book.namelist()}, part: content})


SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'
ENTITIES = (
    b'<!DOCTYPE b [<!ENTITY a "a">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 20) for i in range(12))
    + b"]><b>&m;</b>"
)
ROW = b'<row r="%s"><c r="A%s"><v>1</v></c></row>'
SHEET_1 = "xl/worksheets/sheet1.xml"
HOSTILE: dict[str, tuple[str, bytes, str]] = {
    "bomb of gzip": ("avis.csv.gz", gzip.compress(b"avis,motif\n" + b"a" * 3_000_000), "more than 2 MiB"),
    "bomb of a workbook": ("avis.xlsx", changed_workbook("xl/media/image.bin", b"0" * 3_000_000), "more than 2 MiB"),
    "gzip twice": ("avis.csv.gz", gzip.compress(gzip.compress(csv_bytes())), "compressed twice"),
    "gzip cut off": ("avis.csv.gz", gzip.compress(csv_bytes())[:-20], "cannot be unpacked as gzip to its end"),
    "large file": ("avis.csv", b"a" * 3_000_000, "more than 2 MiB"),
    "entities": ("avis.xlsx", changed_workbook(SHEET_1, ENTITIES), "not an xlsx workbook that can be read"),
    "no sheet": ("avis.xlsx", changed_workbook(SHEET_1, b"<a>secret"), "not an xlsx workbook that can be read"),
    "a cell in the last corner": (
        "avis.xlsx",
        changed_workbook(SHEET_1, SHEET % b"".join(b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (i, i) for i in range(1, 9_000, 2))),
        "more rows or cells than are read",
    ),
    "a row far below": (
        "avis.xlsx",
        changed_workbook(SHEET_1, SHEET % b'<row r="99999999"><c r="A99999999"><v>1</v></c></row>'),
        "more rows",
    ),
    "a row number that is none": (
        "avis.xlsx",
        changed_workbook(SHEET_1, SHEET % b'<row r="x"><c r="A1"><v>1</v></c></row>'),
        "not an xlsx",
    ),
    "another archive": ("avis.xlsx", archive({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), "an archive, and no xlsx"),
    "an old workbook": ("avis.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "of the format before xlsx"),
    "columns of CSV": ("avis.csv", ",".join(map(str, range(20_000))).encode() + b"\n", "20,000 columns, and 16,384"),
    "columns of JSON": ("avis.json", json.dumps([{str(n): 1 for n in range(20_000)}]).encode(), "20,000 columns, and 16,384"),
    "depth of JSON": ("avis.json", b"[" * 200_000 + b"]" * 200_000, "is not JSON at line 1"),
    "depth of a cell": ("avis.jsonl", b'{"avis": ' + b"[" * 100_000, "is not JSON at line 1"),
    "JSON that breaks off": ("avis.jsonl", LINES.encode()[:-5], "is not JSON at line 4"),
    "another JSON": ("avis.json", b'{"avis": "a"}\n"un avis secret"\n', "line 2 is no object"),
    "an array of texts": ("avis.json", b'["un avis secret"]', "an array of other things"),
    "objects in a column": ("avis.jsonl", b'{"avis": {"secret": 1}, "motif": "a"}\n', "'avis' holds objects"),
    "half a character": ("avis.json", b'[{"avis": "\\ud800", "motif": "a"}]', "is not JSON"),
}


@pytest.mark.parametrize(("name", "content", "words"), HOSTILE.values(), ids=HOSTILE)
def test_files_made_to_harm_are_refused_without_their_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, words: str
) -> None:
    monkeypatch.setattr(file_content, "MOST_BYTES", 2 << 20)
    monkeypatch.setattr("passerelle.training.workbook.MOST_CELLS", 1_000_000)
    monkeypatch.setattr("passerelle.training.workbook._MOST_ROWS", 10_000)
    with pytest.raises(DataError) as refused:
        read(tmp_path, name, content)
    assert words in refused.value.message
    assert "secret" not in refused.value.message
    assert refused.value.hint

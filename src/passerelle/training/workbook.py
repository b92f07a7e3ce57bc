"""Tables of xlsx workbooks, read a row at a time."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.utils import range_boundaries
from openpyxl.utils.exceptions import InvalidFileException

from passerelle.errors import DataError, shell_word
from passerelle.training.cell_values import cell_text, column_of
from passerelle.training.file_content import MOST_CELLS, OTHER_FILE, SAVE_AS_CSV, check_cells, check_size

#: Of the format before xlsx, and of a workbook with a password.
OLD_MARK = b"\xd0\xcf\x11\xe0"
_MOST_ROWS = 1_048_576
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?\bref="([A-Z0-9:]{3,32})"')
#: A formula without the value that a spreadsheet computes when it saves the file.
_NOT_COMPUTED = re.compile(
    rb"<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>"
)
#: What openpyxl raises on a file that is not as it should be.
_DAMAGED = (
    ArithmeticError, AttributeError, EOFError, InvalidFileException, LookupError, NotImplementedError, OSError, ParseError, RecursionError,
    TypeError, ValueError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_Rows = list[list[object]]


def workbook_table(path: Path, content: bytes, sheet: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a sheet's table, whose cells are strings or truth values, and what was assumed.

    A formula counts with the value that the spreadsheet computed; a merged cell counts for each row that it covers.

    Args:
        path: Named in errors.
        content: Of the file.
        sheet: Name of the sheet; by default the first that is not hidden.

    Raises:
        DataError: It is no xlsx workbook, damaged or too large, or has no such sheet.
    """
    with _opened(path, content) as (book, archive):
        found, notes = _sheet(path, book, sheet)
        rows = _rows(path, found)
        source = archive.read(found._worksheet_path)
        merged = _fill_merged(path, rows, source)
    if merged:
        notes = (*notes, f"{merged} merged cells: each row that one covers gets its value")
    if uncomputed := len(_NOT_COMPUTED.findall(source)):
        notes = (*notes, f"{uncomputed} formulas hold no value, and count as empty: open the workbook in a spreadsheet, and save it again")
    return _table(rows, notes)


@contextmanager
def _opened(path: Path, content: bytes) -> Iterator[tuple[Workbook, zipfile.ZipFile]]:
    """Give the workbook, and the archive that it is."""
    if content.startswith(OLD_MARK):
        message = f"{path} is a workbook with a password, or of the format before xlsx; save it as xlsx without a password"
        raise DataError(message, hint=OTHER_FILE)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, warnings.catch_warnings():
            if "xl/workbook.xml" not in archive.namelist():
                raise DataError(f"{path} is an archive, and no xlsx workbook; {SAVE_AS_CSV}", hint=OTHER_FILE)
            # Python reads no more of a part than its entry says.
            check_size(path, sum(part.file_size for part in archive.infolist()))
            warnings.simplefilter("ignore")  # of what this reading does not need
            yield openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False), archive
    except _DAMAGED as error:
        # Its own message may hold the text of a cell.
        message = f"{path} is not an xlsx workbook that can be read ({type(error).__name__}); {SAVE_AS_CSV}"
        raise DataError(message, hint=OTHER_FILE) from None


def _sheet(path: Path, book: Workbook, name: str | None) -> tuple[Any, tuple[str, ...]]:
    sheets = {each.title: each for each in book.worksheets}
    if name is not None:
        if name not in sheets:
            there = ", ".join(f"'{each}'" for each in sheets)
            raise DataError(
                f"{path} has no sheet '{name}'; it has {there}", hint=f"passerelle train --data {shell_word(path)} --sheet SHEET"
            )
        return sheets[name], ()
    visible = [each for each in sheets.values() if each.sheet_state == "visible"] or list(sheets.values())
    if not visible:
        raise DataError(f"{path} has no sheet of cells", hint=OTHER_FILE)
    others = [each for each in sheets if each != visible[0].title]
    if not others:
        return visible[0], ()
    return visible[0], (f"{path.name} has {len(sheets)} sheets; read is '{visible[0].title}' (--sheet names another)",)


def _rows(path: Path, sheet: Any) -> _Rows:
    """Return the cells by row, each row as long as the widest, without rows below the last filled one."""
    sheet.reset_dimensions()  # which a file may state as it likes
    rows: _Rows = []
    cells = 0
    for row in sheet.iter_rows(values_only=True):
        cells += len(row) + 1
        if len(rows) >= _MOST_ROWS or cells > MOST_CELLS:
            raise DataError(f"{path} has more rows or cells than are read: give a sample", hint=OTHER_FILE)
        rows.append([None if value == "" or value in ERROR_CODES else value for value in row])
    while rows and not any(value is not None for value in rows[-1]):
        rows.pop()
    width = max((_filled(row) for row in rows), default=0)
    check_cells(path, width, len(rows))
    return [(row + [None] * (width - len(row)))[:width] for row in rows]


def _filled(row: list[object]) -> int:
    return max((place for place, value in enumerate(row, start=1) if value is not None), default=0)


def _fill_merged(path: Path, rows: _Rows, source: bytes) -> int:
    """Give each row that a merged cell covers its value, but for the header; return how many cells are merged."""
    merged = covered = 0
    header = next((place for place, row in enumerate(rows) if _filled(row)), 0)
    for reference in _MERGED.findall(source):
        left, top, right, bottom = range_boundaries(reference.decode())
        bottom, right = min(bottom, len(rows)), min(right, len(rows[0]) if rows else 0)
        if not header + 1 < top <= bottom or not 0 < left <= right:
            continue
        merged, covered = merged + 1, covered + (bottom - top + 1) * (right - left + 1)
        if covered > MOST_CELLS:
            raise DataError(f"{path} has merged cells that cover each other; {SAVE_AS_CSV}", hint=OTHER_FILE)
        value = rows[top - 1][left - 1]
        for row in rows[top - 1 : bottom]:
            row[left - 1 : right] = [value] * (right - left + 1)
    return merged


def _table(rows: _Rows, notes: tuple[str, ...]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    first = next((place for place, row in enumerate(rows) if _filled(row)), len(rows))
    header = [cell_text(value) or "" for value in rows[first]] if rows else []
    below = rows[first + 1 :]
    places = [place for place, row in enumerate(below) if _filled(row)]
    filled = [below[place] for place in places]
    columns = [column_of([row[place] for row in filled]) for place in range(len(header))]
    table = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    table = table.set_axis(header, axis=1).set_axis(places, axis=0) if columns else table
    if len(filled) < len(below):
        notes = (*notes, f"{len(below) - len(filled)} rows without any value are left out")
    return table, notes

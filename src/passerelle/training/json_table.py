"""Tables of JSON: one object a line, or one array of objects."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from passerelle.errors import DataError
from passerelle.training.cell_values import column_of
from passerelle.training.file_content import OTHER_FILE, check_cells, text_of

JSON_ENDS = {".json", ".jsonl", ".ndjson"}
#: What the beginning of a file that is not named as JSON, CSV or the like must look like to be taken for it.
_BEGINNINGS = (b"{", b"[")
_SHAPES = "one object a line, or an array of objects"


def is_json(content: bytes, end: str) -> bool:
    """Return whether a file holds JSON, by the end of its name or, where that says nothing, by its first line."""
    if end in JSON_ENDS:
        return True
    if end in {".csv", ".tsv", ".txt"} or not content.lstrip().startswith(_BEGINNINGS):
        return False
    first = content.lstrip().splitlines()[0].strip()
    try:
        return first in _BEGINNINGS or isinstance(orjson.loads(first), dict | list)
    except orjson.JSONDecodeError:
        return False


def json_table(path: Path, content: bytes, used: Collection[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the table, whose cells are strings or truth values, and what was assumed.

    Args:
        path: Named in errors.
        content: Of the file.
        used: Columns that hold no objects or arrays.

    Raises:
        DataError: It is not JSON, nested too deep, or has another shape.
    """
    text, notes = text_of(path, content)
    objects = _objects(path, text)
    names = dict.fromkeys(name for each in objects for name in each)
    check_cells(path, len(names), len(objects))
    nested = next((name for name in used if any(isinstance(each.get(name), dict | list) for each in objects)), None)
    if nested is not None:
        message = f"{path}: '{nested}' holds objects or arrays, not texts or numbers; write a column for each of their values"
        raise DataError(message, hint=OTHER_FILE)
    table = pd.DataFrame({name: column_of([each.get(name) for each in objects]) for name in names}, index=range(len(objects)))
    filled = table.dropna(how="all")
    if len(filled) < len(table):
        notes = (*notes, f"{len(table) - len(filled)} rows without any value are left out")
    return filled, notes


def _objects(path: Path, text: str) -> list[dict[str, Any]]:
    if text.lstrip().startswith("["):
        found = _parsed(path, text, "")
        if not all(isinstance(each, dict) for each in found):
            raise DataError(f"{path} is an array of other things than objects; a table is {_SHAPES}", hint=OTHER_FILE)
        return list(found)
    objects = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            found = _parsed(path, line, f"line {number}")
            if not isinstance(found, dict):
                raise DataError(f"{path}: line {number} is no object; a table is {_SHAPES}", hint=OTHER_FILE)
            objects.append(found)
    return objects


def _parsed(path: Path, text: str, place: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        where = f"{place}, column {error.colno}" if place else f"line {error.lineno}, column {error.colno}"
        # Its own message says only what is wrong, and quotes nothing of the file.
        raise DataError(f"{path} is not JSON at {where}: {error.msg}; a table is {_SHAPES}", hint=OTHER_FILE) from None

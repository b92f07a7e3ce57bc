"""The inputs of an adopted model's golden predictions: a file of examples, else the logged input example, else made from the signature."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerelle.errors import UsageError, shell_word
from passerelle.model.adoption import GoldenOrigin
from passerelle.model.text_limits import TEXT_CHARACTERS, text_fault
from passerelle.stages.adopt_options import read_file

Record = dict[str, Any]

#: Inputs that are made where there are fewer.
FEWEST = 8
#: Inputs that are taken of a file of examples, and most others that the model is asked about for those near its boundaries.
MOST = 64
MOST_ASKED = 1_000
_TEXTS = (
    "Aucune réponse depuis trois mois", "ok", ".", "x" * 2_000, "ÇA NE MARCHE PAS !!!", "e\u0301te\u0301 sans accents", "zzzz 404 ?! 😡🙏",
    "<script>alert(1)</script>' OR 1=1 --", "0", "line one\nline two\ttab",
)  # fmt: skip
_NUMBERS = (1.0, 0.0, -1.0, 0.5, 1e-9, 1e6, -1e6, 3.25, 100.0, 42.0)
_WHOLE = (1, 0, -1, 2, 7, 1_000_000, -1_000_000, 3, 100, 42)
_VALUES: Mapping[str, Sequence[Any]] = {
    "string": _TEXTS,
    "boolean": (True, False),
    "integer": _WHOLE,
    "long": _WHOLE,
    "float": _NUMBERS,
    "double": _NUMBERS,
    "datetime": ("2026-01-31T12:00:00", "1970-01-01T00:00:00", "2000-02-29T23:59:59", "2038-01-19T03:14:08"),
    "binary": ("AA==", "cGFzc2VyZWxsZQ==", "/////w=="),
}


@dataclass(frozen=True)
class GoldenInputs:
    """Records, and where they come from.

    Attributes:
        origin: Of the first `examples`; all others are made.
        examples: Number of records that were not made.
        ignored: Columns of the examples that the signature does not have.
        others: Examples that were not taken, for the model to say which of them tell most.
    """

    records: tuple[Record, ...]
    origin: GoldenOrigin
    examples: int
    ignored: tuple[str, ...] = ()
    others: tuple[Record, ...] = ()


def golden_inputs(columns: Sequence[Mapping[str, Any]], *, examples: Path | None, logged: Any, address: str) -> GoldenInputs:
    """Return the inputs.

    Args:
        columns: Of the signature, as MLflow writes them.
        examples: The operator's file.
        logged: The content of the logged input example; None where there is none.
        address: Of the model, for hints.

    Raises:
        UsageError: The file cannot be read, is empty, or lacks a column.
    """
    if examples is not None:
        rows = _rows_of_file(examples)
        records = _fitting(rows, columns, what=f"{examples}", address=address)
        ignored = sorted({name for row in rows for name in row} - {str(column["name"]) for column in columns})
        return _filled(records, columns, "examples", tuple(ignored))
    rows = _rows_of_example(logged, columns)
    names = {str(column["name"]) for column in columns if column.get("required", True)}
    if rows and all(names <= row.keys() for row in rows):
        return _filled(_fitting(rows, columns, what="the input example", address=address), columns, "input_example")
    return _filled([], columns, "signature")


def _filled(
    records: list[Record], columns: Sequence[Mapping[str, Any]], origin: GoldenOrigin, ignored: tuple[str, ...] = ()
) -> GoldenInputs:
    """Return the records that a service accepts, spread over all of them where there are many, and those that are made."""
    records = [record for record in records if all(map(_is_accepted, record.values()))]
    step = max(1, math.ceil(len(records) / MOST))
    kept = records[::step][:MOST]
    made_up = list(_invented(columns, kept))
    others = [record for place, record in enumerate(records) if place % step or place // step >= MOST]
    return GoldenInputs((*kept, *made_up), origin, len(kept), ignored, tuple(others[:: max(1, math.ceil(len(others) / MOST_ASKED))]))


def _is_accepted(value: Any) -> bool:
    """Return whether a service with the usual limits accepts a value: a roll-out sends the golden inputs to it."""
    if not isinstance(value, str):
        return True
    return bool(value.strip()) and len(value) <= TEXT_CHARACTERS and text_fault(value) is None


def _invented(columns: Sequence[Mapping[str, Any]], examples: Sequence[Record]) -> Iterator[Record]:
    """Yield records of hostile values; where there are examples, each with the rest of one of them, so that a category is a known one."""
    count = max(FEWEST, max((len(_VALUES.get(str(column["type"]), ())) for column in columns), default=0))
    for turn in range(count):
        base = examples[turn % len(examples)] if examples else None
        record: Record = dict(base) if base else {}
        for place, column in enumerate(columns):
            if base is None or place == turn % len(columns):
                record[str(column["name"])] = _invented_value(column, turn + place)
        yield record
    optional = [str(column["name"]) for column in columns if not column.get("required", True)]
    if optional:
        yield {name: value for name, value in (examples[0] if examples else record).items() if name not in optional}


def _invented_value(column: Mapping[str, Any], turn: int) -> Any:
    kind = column["type"]
    if kind == "array":
        return [_invented_value({"type": column.get("items", {}).get("type", "double")}, turn + step) for step in range(3)]
    if kind == "object":
        return {name: _invented_value(inner, turn) for name, inner in column.get("properties", {}).items()}
    values = _VALUES.get(str(kind), _NUMBERS)
    return values[turn % len(values)]


def _fitting(rows: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]], *, what: str, address: str) -> list[Record]:
    """Return the rows with the columns of the signature alone; one that is optional and missing is left out.

    Raises:
        UsageError: A column is missing, or a value is not of its type.
    """
    records = []
    for place, row in enumerate(rows):
        record: Record = {}
        for column in columns:
            name, value = str(column["name"]), row.get(str(column["name"]))
            if _is_missing(value):
                if column.get("required", True) and name not in row:
                    found = ", ".join(sorted(map(str, row))) or "none"
                    hint = f"passerelle adopt {shell_word(address)} --examples FILE"
                    raise UsageError(f"{what} lacks the column '{name}' of the signature; it has {found}", hint=hint)
                if column.get("required", True):
                    message = f"{what} has no value for '{name}' in row {place + 1}, which the signature requires"
                    raise UsageError(message, hint=f"passerelle adopt {shell_word(address)} --examples FILE")
                continue
            record[name] = _converted(value, str(column["type"]), where=f"row {place + 1} of {what}, column '{name}'")
        records.append(record)
    return records


def _converted(value: Any, kind: str, *, where: str) -> Any:
    """Return a value as a record of the service holds it.

    Raises:
        UsageError: It is not of the column's type.
    """
    try:
        if kind == "string":
            return value if isinstance(value, str) else str(value)
        if kind == "boolean" and isinstance(value, str):
            return {"true": True, "false": False, "1": True, "0": False}[value.casefold()]
        if kind == "boolean":
            return bool(value)
        if kind in ("integer", "long"):
            # A fraction is refused: int(float("1.5")) alone would cut it off.
            return int(str(value).removesuffix(".0"))
        return float(value) if kind in ("float", "double") else value
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise UsageError(f"{where}: the value is not of the type {kind}") from error


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _rows_of_file(path: Path) -> list[Record]:
    """Return the rows of a CSV, Parquet, JSON or JSON Lines file.

    Raises:
        UsageError: It is none of them, or is empty.
    """
    content = read_file(path)
    try:
        rows = _parsed(path.suffix.casefold(), content)
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as rows: CSV, Parquet, JSON or JSON Lines, by the ending of its name") from error
    if not rows:
        raise UsageError(f"{path} holds no row")
    return rows


def _parsed(ending: str, content: bytes) -> list[Record]:
    import pandas as pd  # noqa: PLC0415 - slow to import, and most adoptions have no such file

    if ending in (".parquet", ".pq"):
        table = pd.read_parquet(io.BytesIO(content))
        return json.loads(table.to_json(orient="records", date_format="iso"))  # type: ignore[no-any-return]
    if ending in (".json", ".jsonl", ".ndjson"):
        text = content.decode("utf-8-sig")
        rows = [json.loads(line) for line in text.splitlines() if line.strip()] if ending != ".json" else json.loads(text)
        return [dict(row) for row in (rows if isinstance(rows, list) else [rows])]
    table = pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])
    return [dict(row) for row in table.astype(object).to_dict(orient="records")]  # type: ignore[arg-type]


def _rows_of_example(logged: Any, columns: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Return the logged input example as records; none where its form is not known."""
    if isinstance(logged, dict):
        inner = next((logged[key] for key in ("dataframe_split", "dataframe_records", "inputs") if key in logged), None)
        if inner is None and isinstance(logged.get("data"), list):
            named = logged.get("columns")
            inner = [dict(zip(map(str, named), row, strict=False)) for row in logged["data"]] if isinstance(named, list) else logged["data"]
        return [logged] if inner is None else _rows_of_example(inner, columns)
    names = [str(column["name"]) for column in columns]
    rows = [row if isinstance(row, dict) else _named(row, names) for row in (logged if isinstance(logged, list) else ())]
    return [row for row in rows if row is not None]


def _named(row: Any, names: Sequence[str]) -> Record | None:
    """Return a row without names as a record; None where it has another number of values than there are columns."""
    values = row if isinstance(row, list) else [row]
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else None

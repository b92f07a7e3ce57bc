"""A training table made of corrections, and the description beside it, by which training knows where its data comes from."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from passerelle.errors import UsageError
from passerelle.model.manifest import digest_of_file

SUFFIX = ".export.json"
_SCHEMA = 1
FORMATS = (".csv", ".parquet")
PREDICTION_ID = "prediction_id"


@dataclass(frozen=True)
class FeedbackExport:
    """What is said of an exported table beside it.

    Attributes:
        registered_model: Whose answers were corrected.
        rows: Of the table.
        file_digest: `sha256:…` of the table as a file.
        ids_digest: `sha256:…` of the ids of its answers.
        first_day: Of the answers; None for the first one that is kept.
        last_day: Of the answers; None for the last one.
        written: ISO 8601 in UTC.
    """

    registered_model: str
    rows: int
    file_digest: str
    ids_digest: str
    first_day: str | None
    last_day: str | None
    written: str


def ids_digest(ids: Iterable[str]) -> str:
    """Return `sha256:…` of ids, whatever their order."""
    return f"sha256:{hashlib.sha256(' '.join(sorted(ids)).encode()).hexdigest()}"


def description_of(path: Path) -> Path:
    """Return where the description of a table lies."""
    return path.with_name(path.name + SUFFIX)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Write a table as CSV or Parquet, by the name's end, readable by its owner alone; return its digest.

    It appears when it is whole.

    Raises:
        UsageError: The name ends in neither `.csv` nor `.parquet`.
    """
    check_format(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        if path.suffix.lower() == ".parquet":
            os.close(handle)
            pd.DataFrame(rows, columns=list(columns)).to_parquet(temporary, index=False)
        else:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows([["" if row.get(column) is None else row[column] for column in columns] for row in rows])
        digest = digest_of_file(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def check_format(path: Path) -> None:
    """Check that the name of a table says how it is written.

    Raises:
        UsageError: It ends in neither `.csv` nor `.parquet`.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} ends in neither .csv nor .parquet", hint="passerelle feedback export --output corrections.csv")


def write_description(path: Path, export: FeedbackExport) -> None:
    """Write the description of the table at this path."""
    target = description_of(path)
    part = target.with_name(f".{target.name}.part")
    part.write_text(json.dumps({"schema": _SCHEMA, **asdict(export)}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    part.chmod(0o600)
    part.replace(target)


def read_description(path: Path) -> tuple[FeedbackExport | None, str]:
    """Return the description of the table at this path, and a note where there is one that does not belong to it.

    It is believed only where the file has the digest that it names.
    """
    described = description_of(path)
    if not described.is_file():
        return None, ""
    try:
        content = dict(json.loads(described.read_text(encoding="utf-8")))
        content.pop("schema", None)
        export = FeedbackExport(**content)
    except (OSError, ValueError, TypeError):
        return None, f"{described.name} is no description of an export; it is ignored"
    if digest_of_file(path) != export.file_digest:
        return None, f"{path.name} is not as it was exported, so that {described.name} is ignored: the training does not name the export"
    return export, f"{path.name} is an export of {export.rows} corrected answers of '{export.registered_model}'"


def describe_without(path: Path, export: FeedbackExport, ids: Sequence[str]) -> None:
    """Describe a table from which an erasure took rows.

    Args:
        export: Its description before.
        ids: Of the answers that are left in it.
    """
    write_description(path, replace(export, rows=len(ids), file_digest=digest_of_file(path), ids_digest=ids_digest(ids)))


def ids_in(path: Path) -> tuple[str, ...]:
    """Return the ids of a table's answers."""
    table = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path, dtype=str, keep_default_na=False)
    return tuple(table[PREDICTION_ID])

"""The register of exports: files outside of the log that hold texts of it, so that an erasure finds them.

An entry lies in the folder `exports` of the log, named after the digest of the file, as
`{"path": "/absolute/path.csv", "digest": "sha256:…", "created": "2026-11-25T…", "by": "account@host"}`. The file is a CSV or Parquet with a
column `prediction_id`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from passerelle.errors import OutsideError
from passerelle.monitoring.prediction_log.arrow_rows import without_ids
from passerelle.monitoring.prediction_log.log_place import LogPlace
from passerelle.monitoring.prediction_log.parquet_files import RowsTakenOut

EXPORTS: Final = "exports"
_ID = "prediction_id"


@dataclass(frozen=True)
class RegisteredExport:
    """One file that was exported.

    Attributes:
        path: Where it was written.
        digest: SHA-256 of the file, as `sha256:…`.
        created: ISO 8601, UTC.
        by: Who exported it.
    """

    path: Path
    digest: str
    created: str
    by: str

    @property
    def name(self) -> str:
        """Name of its entry in the log."""
        path = hashlib.sha256(str(self.path).encode()).hexdigest()[:8]
        return f"{EXPORTS}/{path}-{self.digest.removeprefix('sha256:')[:16]}.json"

    def content(self) -> bytes:
        """Return the entry."""
        return orjson.dumps(asdict(self) | {"path": str(self.path)})


def registered_exports(place: LogPlace) -> Iterator[RegisteredExport]:
    """Yield the exports in the register; an entry that cannot be read is no entry."""
    for name in place.names(f"{EXPORTS}/"):
        try:
            with place.open(name) as file:
                found = orjson.loads(file.read())
            yield RegisteredExport(Path(found["path"]), str(found["digest"]), str(found["created"]), str(found["by"]))
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
            continue


def take_out_of_export(path: Path, ids: frozenset[str], *, dry_run: bool = False) -> RowsTakenOut:
    """Rewrite an export without the rows of these answers; the file is replaced in one step, and stays as it is where it holds none.

    Raises:
        OutsideError: It cannot be read or written, or has no column `prediction_id`; names it.
    """
    try:
        return _parquet(path, ids, dry_run=dry_run) if path.suffix == ".parquet" else _csv(path, ids, dry_run=dry_run)
    except (OSError, ValueError, KeyError, csv.Error, pa.ArrowException) as error:
        raise OutsideError(f"the export {path} cannot be rewritten: {type(error).__name__}: {error}; remove the rows yourself") from error


def _parquet(path: Path, ids: frozenset[str], *, dry_run: bool) -> RowsTakenOut:
    table = pq.read_table(path)
    left = without_ids(table, ids)
    found = RowsTakenOut(set(table[_ID].to_pylist()) & ids, table.num_rows - left.num_rows)
    if found.rows and not dry_run:
        part = path.with_name(f".{path.name}.part")
        pq.write_table(left, part, compression="zstd")
        _in_place(part, path)
    return found


def _csv(path: Path, ids: frozenset[str], *, dry_run: bool) -> RowsTakenOut:
    text = path.read_bytes().decode("utf-8-sig")
    begin = "\ufeff" if path.read_bytes().startswith(b"\xef\xbb\xbf") else ""
    dialect = csv.Sniffer().sniff(text.partition("\n")[0], delimiters=",;\t")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=dialect.delimiter)
    if _ID not in (rows.fieldnames or ()):
        raise KeyError(_ID)
    found, out = RowsTakenOut(set()), io.StringIO(newline="")
    writer = csv.DictWriter(out, rows.fieldnames or (), delimiter=dialect.delimiter, lineterminator="\r\n" if "\r\n" in text else "\n")
    writer.writeheader()
    for row in rows:
        if row[_ID] in ids:
            found.ids.add(row[_ID])
            found.rows += 1
        else:
            writer.writerow(row)
    if found.rows and not dry_run:
        part = path.with_name(f".{path.name}.part")
        part.write_text(begin + out.getvalue(), encoding="utf-8", newline="")
        _in_place(part, path)
    return found


def _in_place(part: Path, path: Path) -> None:
    part.chmod(path.stat().st_mode & 0o777)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)

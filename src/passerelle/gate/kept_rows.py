"""The labelled rows that an operator gave, kept beside the verdict in the version's run, so that a later gate judges by the same rows."""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import ArrowException

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.gate.labelled_rows import LabelledRows, digest_of_rows
from passerelle.gate.promote_hints import with_rows
from passerelle.names import GIVEN_ROWS, GIVEN_ROWS_RECORD, ModelVersionRef
from passerelle.registry.client import Registry

_SCHEMA = 1


@dataclass(frozen=True)
class KeptRows:
    """Rows as they lie beside a verdict.

    Attributes:
        rows: What they are.
        digest: SHA-256 of their file.
        run_id: The run that keeps them.
    """

    rows: LabelledRows
    digest: str
    run_id: str


def keep_rows(registry: Registry, run_id: str, rows: LabelledRows) -> None:
    """Write the rows beside the verdict, in the place of those that were given before."""
    content = rows.content()
    with tempfile.TemporaryDirectory(prefix="passerelle-") as folder:
        path = Path(folder) / Path(GIVEN_ROWS).name
        path.write_bytes(content)
        registry.write_file(run_id, GIVEN_ROWS, path)
    record = {"schema": _SCHEMA, "digest": digest_of_rows(content), "labels": list(rows.labels), "source": rows.source}
    registry.write_json(run_id, GIVEN_ROWS_RECORD, {**record, "typed": rows.typed, "rows": len(rows.table)})


def kept_rows(registry: Registry, ref: ModelVersionRef, folder: Path) -> KeptRows | None:
    """Return the rows that were kept for a version; None where none were.

    Args:
        folder: Gets the files.

    Raises:
        IntegrityError: They are not those that were recorded, or cannot be read.
    """
    try:
        record = json.loads(registry.run_artifact(ref.run_id, GIVEN_ROWS_RECORD, folder).read_bytes())
        content = registry.run_artifact(ref.run_id, GIVEN_ROWS, folder).read_bytes()
    except NotFoundError:
        return None
    except ValueError as error:
        raise _changed(ref) from error
    try:
        return KeptRows(*_parsed(record, content), ref.run_id)
    except (ArrowException, ValueError, TypeError, LookupError, AttributeError, OSError) as error:
        raise _changed(ref) from error


def _parsed(record: dict[str, Any], content: bytes) -> tuple[LabelledRows, str]:
    digest, labels, source, typed = record["digest"], tuple(map(str, record["labels"])), str(record["source"]), bool(record["typed"])
    if record["schema"] != _SCHEMA or digest != digest_of_rows(content):
        raise ValueError("another digest")
    table = pd.read_parquet(io.BytesIO(content))
    if table.empty or not labels or not set(labels) <= set(table.columns):
        raise ValueError("no labelled rows")
    return LabelledRows(table, labels, source, typed), digest


def _changed(ref: ModelVersionRef) -> IntegrityError:
    message = f"the labelled rows that {ref} was judged by, {GIVEN_ROWS}, are not those that were kept"
    return IntegrityError(message, hint=with_rows(ref))

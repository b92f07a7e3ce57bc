"""The last result about drift, kept in the state folder for `monitor`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from passerelle.regular_file import read_json_file

#: Folder of the state folder.
MONITORING = "monitoring"


@dataclass(frozen=True)
class LastDrift:
    """What `passerelle drift` found last.

    Attributes:
        day: ISO 8601.
        state: As `DriftResult.state`.
        reasons: Why, in English.
    """

    registered_model: str
    day: str
    state: str
    reasons: tuple[str, ...]


def write_last(folder: Path, found: LastDrift) -> None:
    """Keep the result in the folder, in place of the one before about the same registered model."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _file(found.registered_model)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(asdict(found), ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)


def read_last(folder: Path, registered_model: str | None = None) -> LastDrift | None:
    """Return the last result about a registered model, by default about any; None where there is none that can be read."""
    pattern = _file(registered_model) if registered_model is not None else "drift-*.json"
    for path in sorted(folder.glob(pattern), key=lambda path: path.lstat().st_mtime, reverse=True):
        try:
            content = read_json_file(path)
            reasons = tuple(map(str, content["reasons"]))
            return LastDrift(str(content["registered_model"]), str(content["day"]), str(content["state"]), reasons)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _file(registered_model: str) -> str:
    return f"drift-{quote(registered_model, safe='')}.json"

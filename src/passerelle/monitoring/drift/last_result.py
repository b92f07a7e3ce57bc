"""The last result about drift, kept in the state folder for `monitor`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

#: Folder of the state folder.
MONITORING = "monitoring"
_FILE = "drift.json"


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
    """Keep the result in the folder, in place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(found), ensure_ascii=False), encoding="utf-8")
    temporary.replace(folder / _FILE)


def read_last(folder: Path) -> LastDrift | None:
    """Return the last result; None where there is none that can be read."""
    try:
        content = json.loads((folder / _FILE).read_bytes())
        return LastDrift(str(content["registered_model"]), str(content["day"]), str(content["state"]), tuple(map(str, content["reasons"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None

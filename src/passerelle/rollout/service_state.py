"""The service that `deploy` started on this machine, as its state file tells: known without importing BentoML."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from passerelle.platform.state import ProcessMark


@dataclass(frozen=True)
class RunningService:
    """The service that `deploy` started on this machine."""

    address: str
    bento_tag: str
    model_version: str
    mark: ProcessMark


def state_path(state_dir: Path) -> Path:
    """Return the file that `deploy` writes."""
    return state_dir.resolve() / "service.json"


def running_service(state_dir: Path) -> RunningService | None:
    """Return the service that `deploy` started and that still runs, or None."""
    try:
        content = json.loads(state_path(state_dir).read_text())
        service = RunningService(**(content | {"mark": ProcessMark(**content["mark"])}))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return service if service.mark.alive() else None

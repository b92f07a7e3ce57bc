"""What the registry gives of MLflow's own entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from passerelle.names import ModelVersionRef


@dataclass(frozen=True)
class CandidateRun:
    """One candidate's finished run.

    Attributes:
        metrics: As logged; names as in docs/01-train.md.
    """

    run_id: str
    name: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    status: str


@dataclass(frozen=True)
class VersionInfo:
    """A model version as the registry holds it."""

    ref: ModelVersionRef
    tags: Mapping[str, str]
    stage: str
    source: str
    created: int
    aliases: tuple[str, ...] = field(default=())


def candidate_of(run: Run) -> CandidateRun:
    """Return the run of a candidate."""
    name = run.data.tags.get("passerelle.candidate", run.info.run_name)
    return CandidateRun(run.info.run_id, name, dict(run.data.metrics), dict(run.data.tags), run.info.status)


def info_of(version: ModelVersion) -> VersionInfo:
    """Return the model version as MLflow gave it."""
    ref = ModelVersionRef(version.name, int(version.version), version.run_id or "")
    return VersionInfo(
        ref,
        dict(version.tags),
        version.current_stage or "None",
        version.source or "",
        int(version.creation_timestamp),
        tuple(version.aliases),
    )

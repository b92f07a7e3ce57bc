"""What a training comes to: its runs in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from passerelle.training.candidate import FailedCandidate


@dataclass(frozen=True)
class CandidateResult:
    """One candidate's run.

    Attributes:
        name: Name of the candidate.
        run_id: Its MLflow run.
        metrics: As logged; `cv_…` decide, `test_…` are only shown.
    """

    name: str
    run_id: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrainingResult:
    """One training: a parent run and a run for each candidate, in the order of candidates.py.

    Attributes:
        failed: Candidates that could not be fitted; the others are trained all the same.
    """

    parent_run_id: str
    experiment: str
    data_digest: str
    candidates: tuple[CandidateResult, ...]
    seconds: float
    failed: tuple[FailedCandidate, ...] = ()

"""A refusal by the criteria has a code of its own: what repeats the flow ends there, and does not take it for a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.criteria_file import read_criteria
from passerelle.errors import CriteriaError, IntegrityError, RefusedError
from passerelle.registry.client import CandidateRun
from passerelle.stages.compare import best_run

CRITERIA = Path(__file__).resolve().parents[3] / "training" / "criteria.yaml"


class OneWeakCandidate:
    """A registry whose latest training has one candidate, which meets no criterion."""

    def latest_training(self) -> str:
        return "parent"

    def candidate_runs(self, parent_run_id: str) -> tuple[CandidateRun, ...]:
        assert parent_run_id == self.latest_training()
        return (CandidateRun("run", "weak", {"cv_macro_f1": 0.0}, {}, "FINISHED"),)


def test_no_candidate_that_meets_the_criteria_is_told_apart_from_other_refusals() -> None:
    with pytest.raises(CriteriaError) as refused:
        best_run(OneWeakCandidate(), read_criteria(CRITERIA))
    assert (refused.value.code, refused.value.exit_code) == ("criteria", 1)
    assert not isinstance(refused.value, IntegrityError)
    assert RefusedError.code != CriteriaError.code

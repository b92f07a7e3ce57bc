"""What `compare` makes of figures that somebody changed after the training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from passerelle.criteria import Criteria
from passerelle.model.figures_digest import figures_digest
from passerelle.names import FIGURES_PARAM
from passerelle.registry.client import CandidateRun
from passerelle.registry.entities import finished_trainings
from passerelle.stages.compare import compare

FIGURES = {"cv_macro_f1": 0.7, "test_macro_f1": 0.69, "latency_p95_ms": 1.5, "size_bytes": 900.0}
BEST = CandidateRun("b" * 32, "best", {**FIGURES, "cv_macro_f1": 0.8}, {}, "FINISHED")
OTHER = CandidateRun("a" * 32, "other", FIGURES, {}, "FINISHED")


@dataclass(frozen=True)
class Trained:
    runs: tuple[CandidateRun, ...]

    def latest_training(self) -> str:
        return "parent"

    def candidate_runs(self, parent_run_id: str) -> tuple[CandidateRun, ...]:
        assert parent_run_id == self.latest_training()
        return self.runs


def proved(run: CandidateRun) -> CandidateRun:
    return replace(run, params={FIGURES_PARAM: figures_digest(run.metrics)})


@pytest.mark.parametrize("changed", ["cv_macro_f1", "test_macro_f1", "latency_p95_ms", "size_bytes"])
def test_a_run_whose_figures_were_changed_is_not_the_best(changed: str) -> None:
    edited = replace(proved(OTHER), metrics={**OTHER.metrics, "cv_macro_f1": 0.99, changed: 0.995})
    found = compare(Trained((proved(BEST), edited)), Criteria())
    assert found.best is not None
    assert (found.best.candidate, found.rows[1].rank, found.unproved) == ("best", None, ())
    assert found.rows[1].failures == ("its figures are not those that its training logged: one was changed",)


def test_figures_of_a_teams_own_change_nothing_and_what_nothing_proves_is_said() -> None:
    own = replace(proved(BEST), metrics={**BEST.metrics, "kappa": 0.4})
    found = compare(Trained((own, OTHER)), Criteria())
    assert ([row.rank for row in found.rows], found.unproved) == ([1, 2], ("other",))


def test_a_run_of_the_year_2100_is_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerelle.registry.entities.time.time", lambda: 1_700_000_000.0)
    query = finished_trainings({"passerelle.seed": "0"})
    assert "attributes.start_time < 1700172800000" in query
    assert query.startswith("tags.`passerelle.kind` = 'training' and attributes.status = 'FINISHED' and ")
    assert query.endswith("tags.`passerelle.seed` = '0'")

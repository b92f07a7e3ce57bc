"""Rank the candidates of a training by the criteria, and say what each one fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from passerelle.criteria import HIGHER_IS_BETTER, Criteria, Ranking
from passerelle.criteria_file import read_criteria
from passerelle.errors import CriteriaError
from passerelle.model.figures_digest import figures_digest
from passerelle.names import FIGURES_PARAM
from passerelle.registry.client import CandidateRun
from passerelle.stages.context import CRITERIA, Context, stage


class Candidates(Protocol):
    """The part of the registry that this stage uses."""

    def latest_training(self) -> str:
        """Return the id of the parent run that finished last."""

    def candidate_runs(self, parent_run_id: str) -> tuple[CandidateRun, ...]:
        """Return the finished candidates of one training."""


@dataclass(frozen=True)
class ComparisonRow:
    """One candidate.

    Attributes:
        rank: 1 for the best; None for one that fails a criterion.
        failures: What it fails and why, a sentence each.
    """

    rank: int | None
    candidate: str
    run_id: str
    metrics: Mapping[str, float]
    failures: tuple[str, ...]


@dataclass(frozen=True)
class RankingDecision:
    """What ranked the best candidate before the second.

    Attributes:
        metric: The primary one, the first tie-break in which they differ, or `name` where they differ in none.
        best: The metric of the best; None where it has none.
        second: The metric of the second, likewise.
        tie_within: Where a tie-break decided: how close candidates count as equal by the primary metric.
    """

    metric: str
    best: float | None
    second: float | None
    tie_within: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Every candidate of one training: those that pass by rank, then those that fail by the primary metric.

    Attributes:
        tie_breaks: Metrics that decide between equals, in order.
        decision: None where fewer than two candidates pass.
        unproved: Candidates whose runs hold no digest of their figures: that nobody changed them is not known. Either way the figures
            are what the runs state; the gate measures again before a promotion.
    """

    parent_run_id: str
    criteria_digest: str
    primary: str
    rows: tuple[ComparisonRow, ...]
    tie_breaks: tuple[str, ...] = ()
    decision: RankingDecision | None = None
    unproved: tuple[str, ...] = ()

    @property
    def best(self) -> ComparisonRow | None:
        """The candidate to register, or None when none meets the criteria."""
        return self.rows[0] if self.rows and self.rows[0].rank == 1 else None


@stage
def run(context: Context, *, criteria: Path = CRITERIA, parent_run_id: str | None = None) -> Comparison:
    """Return the candidates of a training, ranked by the criteria.

    Args:
        criteria: File of the criteria.
        parent_run_id: The training; by default the latest of the experiment.

    Raises:
        UsageError: The file of the criteria is missing or wrong.
        NotFoundError: There is no such training, or it has no candidates.
        OutsideError: MLflow or S3 does not answer.
    """
    read = read_criteria(criteria)
    return compare(context.registry, read, parent_run_id=parent_run_id)


def best_run(registry: Candidates, criteria: Criteria) -> str:
    """Return the run of the best candidate of the latest training.

    Raises:
        CriteriaError: No candidate meets the criteria.
    """
    best = compare(registry, criteria).best
    if best is None:
        raise CriteriaError("no candidate of the latest training meets the criteria", hint="passerelle compare")
    return best.run_id


def compare(registry: Candidates, criteria: Criteria, *, parent_run_id: str | None = None) -> Comparison:
    """Return every candidate of the training, ranked.

    Args:
        parent_run_id: The training; by default the one that finished last.

    Raises:
        NotFoundError: There is no such training, or it holds no finished candidate.
    """
    parent = parent_run_id or registry.latest_training()
    runs = registry.candidate_runs(parent)
    failures = {run.run_id: (*_changed(run), *(failure.message for failure in criteria.check(run.metrics))) for run in runs}
    passing = ranked([run for run in runs if not failures[run.run_id]], criteria)
    failing = sorted((run for run in runs if failures[run.run_id]), key=lambda run: (_key(run, criteria.ranking.primary), run.name))
    rows = [ComparisonRow(place, run.name, run.run_id, run.metrics, ()) for place, run in enumerate(passing, start=1)]
    rows += [ComparisonRow(None, run.name, run.run_id, run.metrics, failures[run.run_id]) for run in failing]
    ranking = criteria.ranking
    unproved = tuple(run.name for run in runs if FIGURES_PARAM not in run.params)
    decision = ranking_decision(passing, ranking)
    return Comparison(parent, criteria.digest, ranking.primary, tuple(rows), ranking.tie_breaks, decision, unproved)


def _changed(run: CandidateRun) -> tuple[str, ...]:
    """Return that figures of the run are not those that training logged; nothing where they are, or where their digest is not known."""
    logged = run.params.get(FIGURES_PARAM)
    return () if logged in (None, figures_digest(run.metrics)) else ("its figures are not those that its training logged: one was changed",)


def ranking_decision(order: Sequence[CandidateRun], ranking: Ranking) -> RankingDecision | None:
    """Return what ranked the first of these runs before the second; None where there are fewer than two.

    Args:
        order: As `ranked` returns them.
    """
    if len(order) < 2:  # noqa: PLR2004 - nothing to compare with
        return None
    best, second = order[:2]
    limit = min(_key(run, ranking.primary) for run in order) + ranking.tie_within
    if _key(second, ranking.primary) > limit:
        return RankingDecision(ranking.primary, best.metrics.get(ranking.primary), second.metrics.get(ranking.primary))
    differing = (name for name in ranking.tie_breaks if _key(best, name) != _key(second, name))
    metric = next(differing, "name")
    return RankingDecision(metric, best.metrics.get(metric), second.metrics.get(metric), ranking.tie_within)


def ranked(runs: Sequence[CandidateRun], criteria: Criteria) -> list[CandidateRun]:
    """Return the runs, the best first.

    Those within `tie_within` of the best that is left form a group, in which the tie-breaks decide, and then the name.
    """
    left = sorted(runs, key=lambda run: (_key(run, criteria.ranking.primary), run.name))
    order: list[CandidateRun] = []
    while left:
        limit = _key(left[0], criteria.ranking.primary) + criteria.ranking.tie_within
        group = [run for run in left if run is left[0] or _key(run, criteria.ranking.primary) <= limit]
        group.sort(key=lambda run: (*(_key(run, name) for name in criteria.ranking.tie_breaks), run.name))
        # Only the winner is removed: the next group is formed around the best of the rest.
        order.append(group[0])
        left.remove(group[0])
    return order


def _key(run: CandidateRun, metric: str) -> float:
    """Return the metric as a key for sorting, best first; a missing one comes last."""
    value = run.metrics.get(metric, math.nan)
    if math.isnan(value):
        return math.inf
    return -value if metric in HIGHER_IS_BETTER else value

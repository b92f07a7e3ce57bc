"""The checks of a model that is no classifier of one label, and of any model without labelled rows. Pure, as the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from passerelle.criteria import Champion, Criteria
from passerelle.gate.checks import COSTS, leakage_of, limits_of, own_libraries, signature_of
from passerelle.gate.finding import Finding
from passerelle.gate.messages import Message
from passerelle.gate.task_evidence import TaskEvidence
from passerelle.gate.task_scores import TaskScores

#: The figures that a limit may be set for, by the task.
FIGURES: Mapping[str, frozenset[str]] = {
    "regression": frozenset({"mae", "rmse", "r2"}),
    "multilabel": frozenset({"macro_f1", "exact_match"}),
    "multioutput": frozenset({"mae", "rmse", "r2", "accuracy"}),
}


@dataclass(frozen=True)
class TaskDifference:
    """By how much the challenger is better than the champion.

    Attributes:
        metric: `mae`, of which the value is the share by which the challenger's error is smaller, or `macro_f1`, of which it is the
            difference.
        value: On all rows.
        low: Lower end of the paired bootstrap interval.
        high: Its upper end.
    """

    metric: str
    value: float
    low: float
    high: float


def task_difference(challenger: TaskScores, champion: TaskScores, rows: int, rule: Champion) -> TaskDifference:
    """Return the difference with its interval: rows are drawn with replacement, the same ones for both models."""
    random = np.random.default_rng(rule.seed)

    def difference(places: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
        new, old = challenger.value(places), champion.value(places)
        if challenger.losses is None:
            return new - old
        return (old - new) / old if old > 0 else float(new == 0) - 1.0

    differences = [difference(random.integers(0, rows, rows)) for _ in range(rule.resamples)]
    outside = (1 - rule.confidence) / 2
    low, high = np.quantile(differences, [outside, 1 - outside])
    return TaskDifference(challenger.metric, difference(np.arange(rows)), float(low), float(high))


def task_findings(evidence: TaskEvidence, criteria: Criteria, difference: TaskDifference | None) -> tuple[Finding, ...]:
    """Return every check's finding, first those that invalidate the others."""
    challenger, known = evidence.challenger, COSTS | (FIGURES[evidence.task] if evidence.rows else set())
    return (
        _leakage(evidence, criteria),
        _task(evidence),
        signature_of(challenger.columns, evidence.champion_columns),
        own_libraries(challenger.libraries),
        *limits_of(challenger.figures, criteria, known),
        *_champion(evidence, criteria.champion, difference),
    )


def _leakage(evidence: TaskEvidence, criteria: Criteria) -> Finding:
    if evidence.rows is None:
        return Finding("leakage", False, "—", "0", (Message("no_rows"),), unknown=True)
    rows = len(evidence.rows.records)
    return leakage_of(evidence.leaked, rows, criteria.held_out.rows, known=evidence.challenger.train_hashes is not None)


def _task(evidence: TaskEvidence) -> Finding:
    theirs = evidence.champion_task or evidence.task
    problems = () if theirs == evidence.task else (Message("task", {"task": evidence.task, "champion_task": theirs}),)
    return Finding("task", not problems, evidence.task, theirs, problems)


def _champion(evidence: TaskEvidence, rule: Champion, difference: TaskDifference | None) -> Iterator[Finding]:
    version = str(evidence.champion_version)
    limit = "> 0" if rule.must_be_better else f"≥ -{rule.not_worse_by:g}"
    if evidence.champion_version is None:
        return
    if difference is None:
        key = "unscored" if evidence.rows else "champion_unknown"
        yield Finding("champion", False, "—", limit, (Message(key, {"version": version}),), unknown=evidence.rows is None)
        return
    value, compared = f"{difference.value:+.3f}", difference.low if rule.margin_on == "interval" else difference.value
    key = "worse_by" if compared < -rule.not_worse_by else "not_better_by" if rule.must_be_better and difference.value <= 0 else ""
    interval = f"{value} [{difference.low:+.3f}, {difference.high:+.3f}]"
    problems = (Message(key, {"version": version, "figure": difference.metric, "difference": interval}),) if key else ()
    yield Finding("champion", not problems, value, limit, problems)

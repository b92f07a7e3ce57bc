"""The checks of a model that is no classifier of one label, and of any model without labelled rows. Pure, as the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from passerelle.criteria import Champion, Criteria
from passerelle.gate.checks import COSTS, leakage_of, limits_of, own_libraries, signature_of
from passerelle.gate.comparison import limit_of, next_to_champion
from passerelle.gate.finding import Finding
from passerelle.gate.interval import DifferenceInterval
from passerelle.gate.messages import Message
from passerelle.gate.resampling import standard_error
from passerelle.gate.scores import Floats
from passerelle.gate.task_evidence import TaskEvidence
from passerelle.gate.task_scores import TaskScores

#: The figures that a limit may be set for, by the task.
FIGURES: Mapping[str, frozenset[str]] = {
    "regression": frozenset({"mae", "rmse", "r2"}),
    "multilabel": frozenset({"macro_f1", "exact_match"}),
    "multioutput": frozenset({"mae", "rmse", "r2", "accuracy"}),
}


class TaskDifference(DifferenceInterval):
    """By how much the challenger is better than the champion.

    The metric is `mae`, of which the value is the share by which the challenger's error is smaller, or `macro_f1`, of which it is the
    difference.
    """


def task_difference(
    challenger: TaskScores, champion: TaskScores, groups: NDArray[np.int64], rule: Champion, *, level: float
) -> TaskDifference:
    """Return the difference with its interval: groups of near-duplicates are drawn with replacement, the same ones for both models.

    Args:
        groups: Number of the group of each row, shape (n,).
        level: Of this look.
    """
    ours, theirs = challenger.sums, champion.sums
    of_row = np.unique(groups, return_inverse=True)[1]
    of_group = csr_matrix((np.ones(len(of_row)), (of_row, np.arange(len(of_row)))))
    counts = np.asarray(of_group @ np.hstack([ours, theirs]), dtype=np.float64)
    disputed = np.bincount(of_row, weights=(ours != theirs).any(axis=1)) > 0

    def value(sums: Floats) -> Floats:
        new, old = challenger.of_sums(sums[:, : ours.shape[1]]), champion.of_sums(sums[:, ours.shape[1] :])
        if challenger.losses is None:
            return new - old
        return np.where(old > 0, (old - new) / np.where(old > 0, old, 1), np.where(new == 0, 0.0, -1.0))

    error = standard_error(counts, np.ones(len(counts), dtype=np.int64), value, resamples=rule.resamples, seed=rule.seed)
    found = float(value(counts.sum(axis=0)[None, :])[0])
    return TaskDifference(challenger.metric, found, error, len(counts), int(disputed.sum()), level, len(of_row))


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
    if difference is not None:
        yield next_to_champion(difference, rule, evidence.champion_version)
    elif evidence.champion_version is not None:
        key = "unscored" if evidence.rows else "champion_unknown"
        problems = (Message(key, {"version": str(evidence.champion_version)}),)
        yield Finding("champion", False, "—", limit_of(rule), problems, unknown=evidence.rows is None)

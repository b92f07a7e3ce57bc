"""Verdicts on made-up models that are no classifiers, or that nobody judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from passerelle.criteria import Criteria
from passerelle.gate.judged_rows import JudgedRows
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.gate.task_checks import task_difference, task_findings
from passerelle.gate.task_evidence import TaskContender, TaskEvidence
from passerelle.gate.task_scores import TaskScores, regression_figures
from passerelle.gate.verdict import Verdict
from passerelle.model.record import Column
from passerelle.names import ModelVersionRef

COLUMNS = (Column("size", "double"),)
COSTS = {"latency_p95_ms": 3.0, "size_bytes": 2e6, "memory_mib": 150.0}
TRUTH = np.arange(30, dtype=np.float64)


def regression(version: int, error: float, **changed: Any) -> TaskContender:
    """Return a regression that is wrong by as much on each row."""
    scores = TaskScores(regression_figures(TRUTH, TRUTH + error), losses=np.full(len(TRUTH), abs(error)))
    content: dict[str, Any] = {
        "scores": scores,
        "train_hashes": None,
        "columns": COLUMNS,
        "libraries": {"lightgbm": "4.6.0"},
        "costs": COSTS,
    }
    return TaskContender(version, f"notebook_{version}", **(content | changed))


def judged_by() -> JudgedRows:
    """Return thirty rows that an operator gave."""
    table = pd.DataFrame({"size": TRUTH, "price": TRUTH})
    given = LabelledRows(table, ("price",), "prices.csv", typed=False)
    return JudgedRows(given.records, given.answers, given, "sha256:0123", None)


def unjudged(task: str, **changed: Any) -> TaskEvidence:
    """Return what there is of a model for which there are no rows."""
    return TaskEvidence("prices", task, regression(2, 1.0, scores=None), **changed)


def compared(ours: float, theirs: float | None) -> TaskEvidence:
    """Return two regressions with these errors."""
    champion = None if theirs is None else regression(1, theirs)
    known = {"champion_columns": COLUMNS, "champion_version": 1, "champion_task": "regression"} if champion else {}
    return TaskEvidence("prices", "regression", regression(2, ours), champion, rows=judged_by(), **known)  # type: ignore[arg-type]


def task_verdict(of: TaskEvidence, criteria: dict[str, Any] | None = None) -> Verdict:
    """Return the verdict as the gate comes to it once the evidence is there."""
    rules = Criteria.model_validate({"champion": {"resamples": 100}} | (criteria or {}))
    difference = None
    if of.champion and of.champion.scores and of.challenger.scores:
        difference = task_difference(of.challenger.scores, of.champion.scores, np.arange(len(TRUTH)), rules.champion, level=0.045)
    return Verdict(
        ModelVersionRef("prices", 2, "r" * 32), rules.digest, of, difference, task_findings(of, rules, difference), rule=rules.champion
    )

"""The verdict on a challenger: every finding, what was waived, and the difference from the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from passerelle.criteria import Criteria
from passerelle.errors import RefusedError, UsageError
from passerelle.gate.checks import all_findings
from passerelle.gate.evidence import Evidence, gather
from passerelle.gate.finding import Finding
from passerelle.gate.gate_inputs import NOTHING, GateInputs
from passerelle.gate.hosted import Prepare, as_it_is
from passerelle.gate.judged_rows import JudgedRows
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.gate.paired import Difference, paired_difference
from passerelle.gate.task_checks import TaskDifference, task_difference, task_findings
from passerelle.gate.task_evidence import TaskEvidence
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry


@dataclass(frozen=True)
class Verdict:
    """The verdict of the gate.

    Attributes:
        ref: The challenger.
        difference: From the champion; None before the first promotion.
    """

    ref: ModelVersionRef
    criteria_digest: str
    evidence: Evidence | TaskEvidence
    difference: Difference | TaskDifference | None
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that prevent a promotion: failed, and not waived."""
        return tuple(finding for finding in self.findings if not finding.passed and not finding.waived and not finding.unknown)

    @property
    def unknown(self) -> tuple[Finding, ...]:
        """The findings that neither passed nor failed, and were not waived."""
        return tuple(finding for finding in self.findings if finding.unknown and not finding.waived)

    @property
    def judged(self) -> bool:
        """Whether there were labelled rows to judge by."""
        return isinstance(self.evidence, Evidence) or self.evidence.rows is not None

    @property
    def task(self) -> str:
        """What the challenger does with a record."""
        return self.evidence.task if isinstance(self.evidence, TaskEvidence) else "classification"

    @property
    def rows(self) -> JudgedRows | None:
        """The rows where an operator gave them, now or earlier."""
        return self.evidence.rows

    @property
    def passed(self) -> bool:
        """Whether the challenger may go to production: what was not judged did not pass."""
        return self.judged and not self.failures

    @property
    def result(self) -> str:
        """The verdict in words."""
        return "refused" if self.failures else "passed" if self.judged else "not judged"

    @property
    def waived(self) -> dict[str, str]:
        """By whom and why each check that failed was waived."""
        return {finding.check: finding.waived for finding in self.findings if finding.waived}


def judge(
    registry: Registry,
    *,
    ref: ModelVersionRef,
    champion: ModelVersionRef | None,
    criteria: Criteria,
    serving: Mapping[str, str] | None = None,
    waive: Sequence[str] = (),
    who: str = "",
    reason: str | None = None,
    given: LabelledRows | None = None,
    accept_unknown: bool = False,
    prepare: Prepare = as_it_is,
    inputs: GateInputs = NOTHING,
) -> Verdict:
    """Score both on the same held-out rows and return the verdict.

    Args:
        champion: The version in production, if there is one.
        serving: Version of each library in the serving image.
        waive: Checks to waive, which the criteria must allow this person.
        given: As of `gather`.
        accept_unknown: Whether the person accepts, for the reason, that leakage is unknown.
        prepare, inputs: As of `gather`.

    Raises:
        As `gather`.
        UsageError: A check is waived without a reason.
        RefusedError: The criteria do not let this person waive it.
    """
    allow(criteria, waive, who=who, reason=reason)
    least = criteria.held_out.rows
    how: dict[str, Any] = {"given": given, "prepare": prepare, "inputs": inputs, "rule": criteria.champion}
    evidence = gather(registry, ref, champion, serving=serving or {}, least_rows=least, **how)
    difference, found = _found(evidence, criteria)
    if accept_unknown:
        waive = [*waive, *(each.check for each in found if each.check == "leakage" and each.unknown)]
    by = f"{who}: {reason}"
    findings = tuple(replace(each, waived=by) if each.check in waive and not each.passed else each for each in found)
    return Verdict(ref, criteria.digest, evidence, difference, findings)


def _found(evidence: Evidence | TaskEvidence, criteria: Criteria) -> tuple[Difference | TaskDifference | None, tuple[Finding, ...]]:
    """Return the difference from the champion, and what every check found."""
    if isinstance(evidence, TaskEvidence):
        by_task = _task_difference(evidence, criteria)
        return by_task, task_findings(evidence, criteria, by_task)
    difference = _difference(evidence, criteria)
    return difference, all_findings(evidence, criteria, difference)


def _task_difference(evidence: TaskEvidence, criteria: Criteria) -> TaskDifference | None:
    if evidence.champion is None or evidence.rows is None or not (evidence.champion.scores and evidence.challenger.scores):
        return None
    return task_difference(evidence.challenger.scores, evidence.champion.scores, len(evidence.rows.records), criteria.champion)


def _difference(evidence: Evidence, criteria: Criteria) -> Difference | None:
    rows = evidence.of_rows.new_to_both
    if evidence.champion is None or (rows is not None and not (rows.any() and isinstance(evidence.of_rows.recipes, str))):
        return None  # The recipes are compared in place of the models, or nothing is.
    rule, scores, of_champion = criteria.champion, evidence.challenger.scores, evidence.champion.scores
    if rows is not None:
        scores, of_champion = scores.part(rows), of_champion.part(rows)
    return paired_difference(
        scores.truth,
        of_champion.predicted,
        scores.predicted,
        metric=rule.metric,
        confidence=rule.confidence,
        resamples=rule.resamples,
        seed=rule.seed,
    )


def allow(criteria: Criteria, waive: Sequence[str], *, who: str, reason: str | None) -> None:
    """Check that this person may waive these checks.

    Raises:
        UsageError: There is no reason.
        RefusedError: The criteria do not say so.
    """
    if waive and not (reason and reason.strip()):
        raise UsageError("a check is waived with a reason", hint=f"passerelle promote --waive {waive[0]} --reason REASON")
    for check in waive:
        people = {name for each in criteria.waivable if each.check == check for name in each.by}
        if who not in people and who.partition("@")[0] not in people:
            allowed = f"only by {', '.join(sorted(people))}" if people else "by nobody"
            raise RefusedError(f"the criteria let « {check} » be waived {allowed}, not by {who}", hint="cat training/criteria.yaml")

"""The verdict on a challenger: every finding, what was waived, and the difference from the champion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from passerelle.criteria import Champion, Criteria
from passerelle.errors import RefusedError, UsageError
from passerelle.gate.checks import all_findings
from passerelle.gate.comparison_text import Language
from passerelle.gate.evidence import Evidence, gather
from passerelle.gate.finding import Finding
from passerelle.gate.gate_inputs import NOTHING, GateInputs
from passerelle.gate.hosted import Prepare, as_it_is
from passerelle.gate.judged_rows import JudgedRows
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.gate.look import look_at
from passerelle.gate.near_duplicates import groups_of_records
from passerelle.gate.paired import Difference, paired_difference
from passerelle.gate.recipes import RecipeDifference
from passerelle.gate.spending import level_of_look
from passerelle.gate.task_checks import TaskDifference, task_difference, task_findings
from passerelle.gate.task_evidence import TaskEvidence
from passerelle.gate.worth import worth
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.looks import LookTaken
from passerelle.settings import SigningSettings


@dataclass(frozen=True)
class Verdict:
    """The verdict of the gate.

    Attributes:
        ref: The challenger.
        difference: From the champion; None before the first promotion.
        look: Which look at these rows this is; None where there are none.
        rule: How both were compared.
    """

    ref: ModelVersionRef
    criteria_digest: str
    evidence: Evidence | TaskEvidence
    difference: Difference | TaskDifference | None
    findings: tuple[Finding, ...]
    look: LookTaken | None = None
    rule: Champion = field(default_factory=Champion)

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
    def undecided(self) -> Finding | None:
        """The finding that the rows are too few to tell whether it is as good as the champion, where nobody accepted that."""
        checks = ("champion",) if self.difference else ("recipes",) if self._recipes_compared else ()
        return next((each for each in self.unknown if each.check in checks), None)

    @property
    def _recipes_compared(self) -> bool:
        return isinstance(self.evidence, Evidence) and isinstance(self.evidence.of_rows.recipes, RecipeDifference)

    @property
    def passed(self) -> bool:
        """Whether the challenger may go to production: what was not judged did not pass, nor what the rows are too few to tell."""
        return self.judged and not self.failures and self.undecided is None

    @property
    def result(self) -> str:
        """The verdict in words."""
        if self.failures:
            return "refused"
        return "not judged" if not self.judged else "undecided" if self.undecided else "passed"

    def worth(self, language: Language) -> tuple[str, ...]:
        """Return what the verdict is worth, in sentences."""
        return worth(self.difference, self.look, self.rule, language)

    def accepting(self, check: str, by: str) -> Verdict:
        """Return the verdict with what is not known by a check accepted.

        Args:
            by: Who accepted it, and why.
        """
        return replace(self, findings=_waived(self.findings, [check], by))

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
    dry_run: bool = False,
    signing: SigningSettings | None = None,
    prepare: Prepare = as_it_is,
    inputs: GateInputs = NOTHING,
    progress: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Score both on the same held-out rows and return the verdict.

    Args:
        champion: The version in production, if there is one.
        serving: Version of each library in the serving image.
        waive: Checks to waive, which the criteria must allow this person.
        dry_run: Whether to go on where the look at the rows cannot be counted.
        signing: What that look is signed with, and the earlier ones are verified with.
        given, prepare, inputs, progress: As of `gather`.

    Raises:
        As `gather` and `take_look`.
        UsageError: A check is waived without a reason.
        RefusedError: The criteria do not let this person waive it.
    """
    allow(criteria, waive, who=who, reason=reason)
    how: dict[str, Any] = {"serving": serving or {}, "given": given, "prepare": prepare, "inputs": inputs, "rule": criteria.champion}
    evidence = gather(registry, ref, champion, least_rows=criteria.held_out.rows, progress=progress, **how)
    # Counted before anybody sees what it shows.
    look = look_at(registry, evidence, ref, champion, criteria, who=who, dry_run=dry_run, signing=signing)
    difference, found = _found(evidence, criteria, level_of_look(look.number if look else 1, criteria.champion.level))
    findings = _waived(found, waive, f"{who}: {reason}")
    return Verdict(ref, criteria.digest, evidence, difference, findings, look, criteria.champion)


def _waived(found: Sequence[Finding], waive: Sequence[str], by: str) -> tuple[Finding, ...]:
    return tuple(replace(each, waived=by) if each.check in waive and not each.passed else each for each in found)


def _found(
    evidence: Evidence | TaskEvidence, criteria: Criteria, level: float
) -> tuple[Difference | TaskDifference | None, tuple[Finding, ...]]:
    """Return the difference from the champion, and what every check found.

    Args:
        level: Of this look.
    """
    if isinstance(evidence, TaskEvidence):
        by_task = _task_difference(evidence, criteria, level)
        return by_task, task_findings(evidence, criteria, by_task)
    difference = _difference(evidence, criteria, level)
    return difference, all_findings(evidence, criteria, difference)


def _task_difference(evidence: TaskEvidence, criteria: Criteria, level: float) -> TaskDifference | None:
    if evidence.champion is None or evidence.rows is None or not (evidence.champion.scores and evidence.challenger.scores):
        return None
    groups = groups_of_records(evidence.rows.records)
    return task_difference(evidence.challenger.scores, evidence.champion.scores, groups, criteria.champion, level=level)


def _difference(evidence: Evidence, criteria: Criteria, level: float) -> Difference | None:
    rows = evidence.of_rows.new_to_both
    if evidence.champion is None or (rows is not None and not (rows.any() and isinstance(evidence.of_rows.recipes, str))):
        return None  # The recipes are compared in place of the models, or nothing is.
    scores, of_champion, groups = evidence.challenger.scores, evidence.champion.scores, groups_of_records(evidence.records)
    if rows is not None:
        scores, of_champion, groups = scores.part(rows), of_champion.part(rows), groups[rows]
    return paired_difference(scores.truth, of_champion.predicted, scores.predicted, groups, criteria.champion, level=level)


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
            raise RefusedError(f"the criteria let '{check}' be waived {allowed}, not by {who}", hint="cat training/criteria.yaml")

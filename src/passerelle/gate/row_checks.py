"""The checks of the rows: a reference that training never saw, labels that contradict, recipes, and the behaviour suite. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from passerelle.criteria import Criteria
from passerelle.gate.behaviour import named_cases
from passerelle.gate.comparison import interval_text, limit_of
from passerelle.gate.finding import Finding, finding_of, message_of
from passerelle.gate.interval import compared
from passerelle.gate.known_rows import Contradictions
from passerelle.gate.recipes import RecipeDifference
from passerelle.gate.row_evidence import RowEvidence

#: Fewer are a slip of the pen.
_FEWEST_CONTRADICTIONS = 3


def row_findings(evidence: RowEvidence, criteria: Criteria, *, champion: int | None, held_out: int) -> Iterator[Finding]:
    """Yield the finding of each check that has something to check.

    Args:
        champion: The version in production.
        held_out: Rows that the challenger's training held out, or that were given.
    """
    yield from reference(evidence)
    yield from (contradictions(each, criteria.held_out.contradictions) for each in evidence.contradictions)
    yield from recipes(evidence, criteria, champion, held_out)
    yield from behaviour(evidence, criteria)


def reference(evidence: RowEvidence) -> Iterator[Finding]:
    """The training may have seen the reference, or the model does not know its labels."""
    if evidence.reference is None:
        return
    problems = []
    if evidence.reference_unseen is not None:
        problems.append(message_of("reference_unseen", why=evidence.reference_unseen))
    if evidence.reference_labels:
        problems.append(message_of("reference_labels", labels=with_meant(evidence.reference_labels)))
    yield finding_of("reference", evidence.reference[:19], "—", problems)


def contradictions(found: Contradictions, most: float) -> Finding:
    """Rows that another source knows too have another label there."""
    share = found.contradicting / found.shared
    pairs = ", ".join(f"« {ours} » ≠ « {theirs} » ({rows})" for ours, theirs, rows in found.pairs)
    problem = message_of(
        "contradicts", rows=found.contradicting, of=found.shared, source=found.source, pairs=pairs or "—", asked=f"{most:.0%}"
    )
    bad = share > most and found.contradicting >= _FEWEST_CONTRADICTIONS
    return finding_of(
        "contradictions", f"{found.contradicting} / {found.shared} ({found.source})", f"≤ {most:.0%}", [problem] if bad else []
    )


def recipes(evidence: RowEvidence, criteria: Criteria, champion: int | None, held_out: int) -> Iterator[Finding]:
    """Too few rows are new to both: the challenger's recipe is worse than the champion's, or not better where it must be."""
    found, rule = evidence.recipes, criteria.champion
    limit = limit_of(rule)
    if found is None:
        return
    if not isinstance(found, RecipeDifference):
        rows = {"version": champion or 0, "rows": evidence.familiar, "of": held_out, "why": found}
        if evidence.new_to_both is not None and not evidence.new_to_both.any():
            yield finding_of("recipes", "—", limit, [message_of("known_to_champion", **rows)])
        else:
            yield Finding("recipes", False, "—", limit, (message_of("recipes_none", **rows),), unknown=True)
        return
    text, judged = interval_text(found), compared(found.value, found.low, rule)
    if judged == "passed" or (judged == "too_few" and rule.too_few == "accept"):
        yield finding_of("recipes", text, limit, [])
        return
    problem = message_of(f"recipes_{judged}", version=champion or 0, figure=found.metric, difference=text, asked=limit)
    yield Finding("recipes", False, text, limit, (problem,), unknown=judged == "too_few" and rule.too_few == "reason")


def behaviour(evidence: RowEvidence, criteria: Criteria) -> Iterator[Finding]:
    """Too few cases of the suite pass, or it asks for labels that the model does not have."""
    rule, found = criteria.held_out.behaviour, evidence.behaviour
    if rule is None:
        return
    limit = f"≥ {rule.minimum:.0%}"
    if found is None:
        columns = ", ".join(evidence.suite_columns) or "—"
        yield finding_of("behaviour", "—", limit, [message_of("behaviour_columns", columns=columns)])
        return
    problems = []
    if found.unknown_labels:
        problems.append(message_of("behaviour_labels", labels=with_meant(found.unknown_labels)))
    if found.share < rule.minimum:
        problems.append(
            message_of(
                "behaviour_low", failed=len(found.failed), of=found.cases, asked=f"{rule.minimum:.0%}", cases=named_cases(found.failed)
            )
        )
    yield finding_of("behaviour", f"{found.cases - len(found.failed)} / {found.cases}", limit, problems)


def with_meant(labels: Sequence[tuple[str, str | None]]) -> str:
    """Return labels that nobody knows, each with the one that is probably meant."""
    return ", ".join(f"« {label} »" + (f" (« {meant} »?)" if meant else "") for label, meant in labels)

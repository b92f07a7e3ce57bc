"""What it takes to promote a version of which the gate could not find out everything: nobody promotes it without saying why."""

from __future__ import annotations

from passerelle.criteria import Criteria
from passerelle.errors import CriteriaError, RefusedError
from passerelle.gate.promote_hints import with_reason, with_rows, with_rows_or_reason
from passerelle.gate.task_scores import MEASURED
from passerelle.gate.verdict import Verdict

#: What a CI job's name begins with, as `author` gives it.
_JOB = "ci:"
_LEAKAGE = "leakage"


def reason_of_person(who: str, reason: str | None) -> bool:
    """Return whether a person gives a reason: a CI job is none."""
    return bool(reason and reason.strip()) and bool(who) and not who.startswith(_JOB)


def check_unknown(verdict: Verdict, criteria: Criteria, *, who: str, reason: str | None, development: bool) -> None:
    """Check that a version may be promoted although something about it is not known.

    Args:
        who: Who promotes, as the ledger names them.
        reason: Why.
        development: Whether the environment is not `production`.

    Raises:
        CriteriaError: The criteria refuse a version without labelled rows, or one of unknown leakage; or the rows are too few to tell
            whether it is as good as the one in production, and no person gives a reason.
        RefusedError: It takes a person's reason, and there is none.
    """
    ref, rule = verdict.ref, criteria.held_out
    if not verdict.judged:
        measurable = verdict.task in {"classification", *MEASURED}
        why = "there are no labelled rows" if measurable else f"labelled rows do not judge a model whose task is {verdict.task}"
        if rule.required or (rule.required is None and not development):
            way_out = "in production, only criteria with held_out.required: false allow that"
            by = "the criteria refuse that" if rule.required else way_out
            hint = with_rows(ref) if measurable else "cat training/criteria.yaml"
            raise CriteriaError(f"{ref} is not judged: {why}, and {by}", hint=hint)
        if not reason_of_person(who, reason):
            message = f"{ref} is not judged: {why}; to promote it takes the reason of a person{_not_of(who)}"
            raise RefusedError(message, hint=with_rows_or_reason(ref) if measurable else with_reason(ref))
        return
    if verdict.undecided is not None:
        # A result, not a fault: a job that nobody watches keeps the version in production.
        message = f"{ref}: {verdict.undecided.message}; to promote it takes the reason of a person{_not_of(who)}"
        raise CriteriaError(message, hint=with_rows_or_reason(ref))
    if any(finding.check == _LEAKAGE for finding in verdict.unknown):
        message = f"{ref}: nobody knows which rows it learned from, so that those it is judged by may be among them"
        if rule.unknown_leakage == "refuse":
            raise CriteriaError(f"{message}, and the criteria refuse that", hint=with_reason(ref, waive=_LEAKAGE))
        if rule.unknown_leakage == "reason" and not reason_of_person(who, reason):
            raise RefusedError(f"{message}; to promote it takes the reason of a person{_not_of(who)}", hint=with_reason(ref))


def _not_of(who: str) -> str:
    return f", and {who} is none" if who.startswith(_JOB) else ""

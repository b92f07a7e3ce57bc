"""What it takes to promote a version of which the gate could not find out everything: nobody promotes it without saying why."""

from __future__ import annotations

from passerelle.criteria import Criteria
from passerelle.errors import CriteriaError, RefusedError
from passerelle.gate.promote_hints import with_rows, with_waiver
from passerelle.gate.task_scores import MEASURED
from passerelle.gate.verdict import Verdict
from passerelle.stages.acceptance import Reasons

_LEAKAGE = "leakage"


def check_unknown(verdict: Verdict, criteria: Criteria, reasons: Reasons, *, development: bool, retry: str) -> Verdict:
    """Return the verdict with what a person accepted, once the version may be promoted although something about it is not known.

    Args:
        reasons: What is accepted for a reason.
        development: Whether the environment is not `production`.
        retry: Command that asks again, with the options that accept what is not known.

    Raises:
        CriteriaError: The criteria refuse a version without labelled rows, or one of unknown leakage; or the rows are too few to tell
            whether it is as good as the one in production, and no person gives a reason.
        RefusedError: It takes a person's reason, and there is none.
    """
    ref, rule, by = verdict.ref, criteria.held_out, f"{reasons.who}: {reasons.reason}"
    if not verdict.judged:
        _check_unjudged(verdict, criteria, reasons, development=development, retry=retry)
        return verdict
    if verdict.undecided is not None:
        if not reasons.accepts("too-few-rows"):
            # A result, not a fault: a job that nobody watches keeps the version in production.
            message = f"{ref}: {verdict.undecided.message}; to promote it, {reasons.lacking}"
            raise CriteriaError(message, hint=f"{with_rows(ref)}\n{retry} {reasons.options('too-few-rows')}")
        verdict = verdict.accepting(verdict.undecided.check, by)
    if any(finding.check == _LEAKAGE for finding in verdict.unknown):
        message = f"{ref}: nobody knows which rows it learned from, so that those it is judged by may be among them"
        if rule.unknown_leakage == "refuse":
            raise CriteriaError(f"{message}, and the criteria refuse that", hint=with_waiver(ref, _LEAKAGE))
        if rule.unknown_leakage == "reason":
            if not reasons.accepts("unknown-leakage"):
                hint = f"{retry} {reasons.options('unknown-leakage')}"
                raise RefusedError(f"{message}; to promote it, {reasons.lacking}", hint=hint)
            verdict = verdict.accepting(_LEAKAGE, by)
    return verdict


def _check_unjudged(verdict: Verdict, criteria: Criteria, reasons: Reasons, *, development: bool, retry: str) -> None:
    """Check that a version may be promoted without labelled rows to judge it by."""
    ref, rule = verdict.ref, criteria.held_out
    measurable = verdict.task in {"classification", *MEASURED}
    why = "there are no labelled rows" if measurable else f"labelled rows do not judge a model whose task is {verdict.task}"
    if rule.required or (rule.required is None and not development):
        way_out = "in production, only criteria with held_out.required: false allow that"
        refusal = "the criteria refuse that" if rule.required else way_out
        hint = with_rows(ref) if measurable else "cat training/criteria.yaml"
        raise CriteriaError(f"{ref} is not judged: {why}, and {refusal}", hint=hint)
    if not reasons.accepts("unjudged"):
        hint = f"{retry} {reasons.options('unjudged')}"
        message = f"{ref} is not judged: {why}; to promote it, {reasons.lacking}"
        raise RefusedError(message, hint=f"{with_rows(ref)}\n{hint}" if measurable else hint)

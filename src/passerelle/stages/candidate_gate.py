"""The gate before a candidate answers people: a canary passes it as a promotion does, a shadow needs none."""

from __future__ import annotations

from dataclasses import replace

from passerelle.criteria import Criteria
from passerelle.errors import NotFoundError, RefusedError, UsageError
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.model.ledger_entry import CandidateTerms, Entry
from passerelle.names import ADOPTION_RUN, TASK, ModelVersionRef
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.verified import VerifiedLedger
from passerelle.stages.criteria_change import check_criteria, criteria_before
from passerelle.stages.judgement import Judgement, PromotionRequest, judgement_of
from passerelle.stages.promote_rows import labelled_rows
from passerelle.stages.rollout_options import RolloutOptions


def check_shadow(info: VersionInfo, options: RolloutOptions) -> None:
    """Check that a shadow classifies: what it scores beside the answers is compared by its labels.

    Raises:
        UsageError: It was adopted as a model of another task.
    """
    task = info.tags.get(TASK, "") if ADOPTION_RUN in info.tags else "classification"
    if options.shadow and task != "classification":
        message = f"{info.ref} does not classify but does {task}, and a shadow is compared by its labels"
        raise UsageError(message, hint=f"passerelle rollout --candidate {info.ref.version} --weight 10")


def given_rows(registry: Registry, ref: ModelVersionRef, options: RolloutOptions) -> LabelledRows | None:
    """Return the labelled rows that the options name; None where they name none."""
    return labelled_rows(registry, ref, options.held_out, options.labels) if options.held_out is not None else None


def judged_before(ledger: VerifiedLedger, last: Entry | None, entry: Entry, criteria: Criteria) -> Entry | None:
    """Return the entry with what the gate said of the candidate before; None where it must be asked.

    A weight is changed without the gate while version, criteria and the version in production stay what they were: to send a candidate
    less must not take a minute.

    Args:
        last: The entry about the candidate that takes part.
    """
    if last is None or last.candidate is None or last.candidate.mode != "canary" or last.criteria_digest != criteria.digest:
        return None
    same = (last.to_version, last.run_id, last.artifact_digest) == (entry.to_version, entry.run_id, entry.artifact_digest)
    if not same or ledger.last_move is None or ledger.last_move.number > last.number:
        return None
    return replace(
        entry,
        criteria_digest=last.criteria_digest,
        metrics=last.metrics,
        forced=last.forced,
        waived=last.waived,
        report_digest=last.report_digest,
        reason=entry.reason or last.reason,
        judged=last.judged,
        golden_origin=last.golden_origin,
        held_out_digest=last.held_out_digest,
        accepted=last.accepted,
        look=last.look,
    )


def criteria_of_canary(
    ledger: VerifiedLedger, entry: Entry, criteria: Criteria, request: PromotionRequest, *, dry_run: bool = False
) -> str | None:
    """Return the digest of the criteria that those of a canary take the place of; None where they are the same.

    Raises:
        RefusedError: As `check_criteria`.
    """
    other, weight = criteria_before(ledger.entries, criteria), entry.candidate.weight if entry.candidate else 0
    if not dry_run:
        retry = f"passerelle rollout --candidate {entry.to_version} --weight {weight} --criteria FILE"
        check_criteria(other, criteria, request.reasons, development=request.development, retry=retry)
    return other


def judgement_of_canary(
    registry: Registry,
    ref: ModelVersionRef,
    criteria: Criteria,
    request: PromotionRequest,
    terms: CandidateTerms,
    *,
    champion: int | None,
    dry_run: bool = False,
) -> Judgement:
    """Return what the gate says of a version that is to answer part of the requests.

    Args:
        champion: The version in production.

    Raises:
        RefusedError: The gate refuses it, or it is forced in production.
        NotFoundError: There is nothing to judge by, and it is not forced.
    """
    shadow = f"passerelle rollout --candidate {ref.version} --shadow"
    if request.force and not request.development:
        message = "a candidate that answers people is not forced in production; as a shadow it needs no gate"
        raise RefusedError(message, hint=shadow)
    forced = f"{shadow}\npasserelle rollout --candidate {ref.version} --weight {terms.weight} --force --reason REASON"
    ways_out = forced if request.development else shadow
    see = f"passerelle promote --version {ref.version} --dry-run --report report.html"
    try:
        return judgement_of(registry, ref, champion, criteria, request, dry_run=dry_run, hint=f"{see}\n{ways_out}")
    except NotFoundError as error:
        message = f"the gate cannot judge {ref}, which is to answer people: {error.message}"
        raise NotFoundError(message, hint=ways_out) from error

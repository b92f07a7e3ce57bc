"""Let a version answer part of the requests beside the one in production, compare both live, and promote it or end that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.criteria import Criteria
from passerelle.criteria_file import read_criteria
from passerelle.errors import IntegrityError, NotFoundError, RefusedError, UsageError
from passerelle.gate.finding import Finding
from passerelle.model.ledger_entry import CANDIDATE_ENDED, CandidateTerms, Entry
from passerelle.monitoring.live_comparison import LiveComparison
from passerelle.names import ARTIFACT_DIGEST, CANDIDATE_ALIAS, TRUSTED_PICKLE, ModelVersionRef
from passerelle.registry.candidate_alias import (
    BACKED_OUT,
    PROMOTED,
    WITHDRAWN,
    candidate_of,
    entry_of_candidate,
    settled_candidate,
    write_candidate,
)
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.lock import promotion_lock
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages.candidate_gate import check_shadow, criteria_of_canary, given_rows, judged_before, judgement_of_canary
from passerelle.stages.context import CRITERIA, Context, Progress, silent, stage
from passerelle.stages.judgement import PromotionRequest
from passerelle.stages.live_services import LiveReport, compare_live, no_service, replicas_of
from passerelle.stages.promote import promote, promotion_request
from passerelle.stages.promote_digest import way_to_a_digest
from passerelle.stages.promotion import Promotion
from passerelle.stages.rollout_options import KEY_HEADER, RolloutOptions
from passerelle.stages.rollout_watch import watched
from passerelle.stages.serving_libraries import serving_libraries


@dataclass(frozen=True)
class CandidateRollout:
    """What became of a candidate, or would.

    Attributes:
        version: The candidate; None where there is none.
        terms: How it takes part.
        changed: False where everything was so already.
        steps: What was done, or would be, in order.
        entry: The ledger's entry about it.
        live: Both compared, as far as services were reached.
        promotion: Where it was promoted.
        findings: What the gate found; empty where it was not asked.
        report: Where the gate's page is, among the artifacts of the version's run.
    """

    registered_model: str
    version: int | None
    terms: CandidateTerms | None = None
    changed: bool = False
    steps: tuple[str, ...] = ()
    entry: Entry | None = None
    live: LiveReport | None = None
    promotion: Promotion | None = None
    dry_run: bool = False
    findings: tuple[Finding, ...] = ()
    report: str | None = None


@dataclass(frozen=True)
class Author:
    """Who acts, and on which registry.

    Attributes:
        signing: What entries are signed with, and the ledger verified with.
        development: Whether a pickle that was trusted may be a candidate here, and the gate be forced.
        serving: Version of each library in the serving image, for the gate.
    """

    registry: Registry
    who: str
    signing: SigningSettings | None = None
    development: bool = True
    serving: Mapping[str, str] | None = None

    @property
    def registered_model(self) -> str:
        """Whose candidate it is about."""
        return self.registry.settings.registered_model

    def ledger(self) -> VerifiedLedger:
        """Return the verified ledger."""
        return verified_ledger(self.registry, self.registered_model, self.signing)


@stage
def run(
    context: Context,
    options: RolloutOptions,
    *,
    project: Path = Path(),
    criteria: Path = CRITERIA,
    dry_run: bool = False,
    progress: Progress = silent,
) -> CandidateRollout:
    """Begin, compare, promote or end a candidate.

    Args:
        progress: Told what changes while a candidate is watched.

    Raises:
        UsageError: As `RolloutOptions.check`, the criteria are wrong, or the folder is no project.
        As `begin`, `end`, `status` and `promoted`.
    """
    options.check()
    author = Author(context.registry, context.author, context.signing, context.development)
    if options.candidate is not None:
        serving = None if options.shadow else serving_libraries(project)
        return begin(replace(author, serving=serving), options, read_criteria(criteria), dry_run=dry_run)
    if options.stop:
        return end(author, WITHDRAWN, reason=options.reason, dry_run=dry_run)

    def compare() -> CandidateRollout:
        return status(author, _seen(context, author, options, project), dry_run=dry_run)

    if options.watch:
        return watched(compare, progress)
    found = compare()
    if not options.promote:
        return found
    return promoted(context, author, found, read_criteria(criteria), project=project, dry_run=dry_run)


def _seen(context: Context, author: Author, options: RolloutOptions, project: Path) -> LiveReport | None:
    entry = candidate_of(author.ledger())
    return compare_live(entry, replicas_of(context, options, project)) if entry is not None else None


def begin(author: Author, options: RolloutOptions, criteria: Criteria, *, dry_run: bool = False) -> CandidateRollout:
    """Make a version the candidate, or change how it takes part; one that answers people must pass the gate.

    Raises:
        NotFoundError: There is no such version, or the gate has nothing to judge by.
        RefusedError: Nothing is in production, the version is a pickle that was trusted in development, or the gate refuses it.
        UsageError: The version is in production, or another one is the candidate.
        IntegrityError: The version was not registered by passerelle, or the ledger is broken.
        BusyError: Somebody else promotes at this moment.
    """
    name, number = author.registered_model, options.candidate or 0
    info, ledger = author.registry.model_version(name, number), author.ledger()
    _check(author, info, ledger)
    check_shadow(info, options)
    header, limits = options.key_header or KEY_HEADER, criteria.rollout.model_dump()
    terms, last = CandidateTerms(options.mode, options.share, header, limits), candidate_of(ledger)
    entry = entry_of_candidate(info.ref, info.tags[ARTIFACT_DIGEST], author.who, terms=terms, reason=options.reason)
    if last is not None and _says_the_same(last, entry):
        return _written(author, ledger, last, dry_run=dry_run)
    if terms.mode == "shadow":
        return _written(author, ledger, entry, dry_run=dry_run)
    if (known := judged_before(ledger, last, entry, criteria)) is not None:
        return _written(author, ledger, known, dry_run=dry_run)
    request = PromotionRequest(
        who=author.who,
        force=options.force,
        reason=options.reason,
        waive=options.waive,
        accept=options.accept,
        retry=f"passerelle rollout --candidate {number} --weight {terms.weight}",
        development=author.development,
        serving=author.serving,
        signing=author.signing,
        given=given_rows(author.registry, info.ref, options),
    )
    entry = replace(entry, criteria_before=criteria_of_canary(ledger, entry, criteria, request, dry_run=dry_run))
    judgement = judgement_of_canary(author.registry, info.ref, criteria, request, terms, champion=ledger.in_production, dry_run=dry_run)
    begun = _written(author, ledger, replace(judgement.record(entry), accepted=tuple(sorted(request.taken))), dry_run=dry_run)
    return replace(begun, findings=judgement.findings, report=judgement.report)


def _says_the_same(last: Entry, entry: Entry) -> bool:
    """Return whether the candidate takes part as the entry says."""
    both = [(each.to_version, each.run_id, each.artifact_digest, each.candidate) for each in (last, entry)]
    return both[0] == both[1]


def end(author: Author, why: str, *, reason: str | None = None, dry_run: bool = False) -> CandidateRollout:
    """Let no candidate take part any longer; nothing changes where there is none.

    Raises:
        IntegrityError: The ledger is broken.
        BusyError: Somebody else promotes at this moment.
    """
    ledger = author.ledger()
    last = ledger.last_of_candidate
    if last is None:
        return CandidateRollout(author.registered_model, None, dry_run=dry_run)
    if last.what == CANDIDATE_ENDED:
        return _written(author, ledger, last, dry_run=dry_run)
    ref = ModelVersionRef(author.registered_model, last.to_version, last.run_id)
    # What put it into production was interrupted before it ended the candidate.
    why = PROMOTED if ledger.in_production == last.to_version else why
    entry = entry_of_candidate(ref, last.artifact_digest, author.who, terms=None, ended=why, reason=reason)
    return _written(author, ledger, entry, dry_run=dry_run)


def status(author: Author, live: LiveReport | None, *, dry_run: bool = False) -> CandidateRollout:
    """Return the candidate and how it compares; where a service has backed out, the ledger is told, which ends the candidate for all.

    Raises:
        As `end`.
    """
    entry = candidate_of(author.ledger())
    if entry is None:
        return CandidateRollout(author.registered_model, None, dry_run=dry_run)
    if live is not None and live.backed_out:
        return replace(end(author, BACKED_OUT, reason=live.backed_out, dry_run=dry_run), live=live)
    return CandidateRollout(author.registered_model, entry.to_version, entry.candidate, entry=entry, live=live, dry_run=dry_run)


def promoted(
    context: Context, author: Author, found: CandidateRollout, criteria: Criteria, *, project: Path, dry_run: bool
) -> CandidateRollout:
    """Put the candidate into production if it passes the gate, whose report holds the live comparison; then end the candidate.

    Raises:
        NotFoundError: There is no candidate.
        OutsideError: No service was reached to compare by.
        RefusedError: The candidate broke a limit, has answered nothing yet, or the gate refuses it.
        As `promote`.
    """
    if found.live is not None and (found.live.backed_out or found.live.broken):
        what = found.live.backed_out or "; ".join(found.live.broken)
        raise RefusedError(f"the candidate of '{found.registered_model}' broke a limit: {what}", hint="passerelle rollout --stop")
    if found.entry is None or found.version is None:
        raise NotFoundError(f"'{found.registered_model}' has no candidate", hint="passerelle rollout --candidate N --weight 10")
    if found.live is None or found.live.comparison is None:
        raise no_service(found.live)
    if found.live.comparison.candidate.requests == 0:
        message = f"the candidate of '{found.registered_model}' has answered nothing yet, so that there is nothing to compare"
        raise RefusedError(message, hint="passerelle rollout --status")
    request = replace(promotion_request(context, project), puts_back=True, live=live_rows(found.live.comparison))
    ref = ModelVersionRef(found.registered_model, found.version, found.entry.run_id)
    promotion = promote(author.registry, ref=ref, criteria=criteria, request=request, dry_run=dry_run)
    if dry_run:
        return replace(found, promotion=promotion, changed=promotion.changed, dry_run=True)
    return replace(end(author, PROMOTED), changed=promotion.changed, live=found.live, promotion=promotion)


def live_rows(comparison: LiveComparison) -> dict[str, tuple[str, str]]:
    """Return the comparison as the gate's report shows it: what production did, and the candidate."""
    both = (comparison.production, comparison.candidate)
    requests, errors, latency, review = (
        [f"{each.requests:,}" for each in both],
        [f"{each.errors.value or 0:.2%} [{each.errors.low:.2%}, {each.errors.high:.2%}]" for each in both],
        ["—" if (ms := each.latency_ms) is None else f"{ms.value:.2f} ms [{ms.low:.2f}, {ms.high:.2f}]" for each in both],
        [f"{each.review.value or 0:.1%} [{each.review.low:.1%}, {each.review.high:.1%}]" for each in both],
    )
    rows = {"live_requests": requests, "live_errors": errors, "live_latency": latency, "live_review": review}
    if comparison.agreement.value is not None:
        agreement = comparison.agreement
        rows["live_agreement"] = ["—", f"{agreement.value:.1%} [{agreement.low:.1%}, {agreement.high:.1%}]"]
    return {name: (values[0], values[1]) for name, values in rows.items()}


def _check(author: Author, info: VersionInfo, ledger: VerifiedLedger) -> None:
    if ARTIFACT_DIGEST not in info.tags:
        message = f"{info.ref} has no digest of its files: it was not registered by passerelle, nor adopted"
        raise IntegrityError(message, hint=way_to_a_digest(author.registry, info))
    if TRUSTED_PICKLE in info.tags and not author.development:
        message = f"{info.ref} is a pickle that was trusted in development, and answers nobody in production"
        raise RefusedError(f"{message}; log it with serialization_format='skops'", hint="passerelle train --again; passerelle register")
    if ledger.in_production is None:
        message = f"no version of '{info.ref.registered_model}' is in production that {info.ref} could answer beside"
        raise RefusedError(message, hint=f"passerelle promote --version {info.ref.version}")
    if ledger.in_production == info.ref.version and (ledger.last_move is None or ledger.last_move.run_id in ("", info.ref.run_id)):
        raise UsageError(f"{info.ref} is in production already", hint="passerelle rollout --candidate N --weight 10")
    last = candidate_of(ledger)
    if last is not None and last.to_version != info.ref.version:
        message = f"version {last.to_version} is the candidate of '{info.ref.registered_model}' already"
        raise UsageError(message, hint=f"passerelle rollout --stop; passerelle rollout --candidate {info.ref.version}")


def _written(author: Author, ledger: VerifiedLedger, entry: Entry, *, dry_run: bool) -> CandidateRollout:
    registry, name = author.registry, author.registered_model
    version = entry.to_version if entry.candidate else None
    if entry.number and settled_candidate(registry, entry):
        return CandidateRollout(name, version, entry.candidate, entry=entry, dry_run=dry_run)
    what = f"ledger: entry {entry.number or ledger.number + 1}, {entry.what} version {entry.to_version}"
    alias = f"alias {CANDIDATE_ALIAS} → version {version}" if version else f"alias {CANDIDATE_ALIAS} deleted"
    result = CandidateRollout(name, version, entry.candidate, changed=True, steps=(what, alias), dry_run=dry_run)
    if dry_run:
        return result
    with promotion_lock(registry.objects, name, author.who, f"{entry.what} version {entry.to_version}") as check_lock:
        now = verified_ledger(registry, name, author.signing, since=ledger)
        if now.number != ledger.number:
            # Decided on what is no longer so: the conditional write of the head refuses it.
            now = ledger
        written = write_candidate(registry, entry, ledger=now, signing=author.signing, check_lock=check_lock)
    return replace(result, entry=written)

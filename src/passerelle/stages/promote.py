"""Give a version the alias and the stage, if it passes the gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from passerelle.criteria import Criteria
from passerelle.criteria_file import read_criteria
from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError, RefusedError, UsageError
from passerelle.gate.verdict import allow
from passerelle.model.ledger_entry import Entry
from passerelle.model.manifest import digest_of_manifest
from passerelle.names import ARTIFACT_DIGEST, GOLDEN_ORIGIN, MANIFEST, TRUSTED_PICKLE, ModelVersionRef
from passerelle.registry import ledger as ledgers
from passerelle.registry.chain import REANCHORED
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.production import plan, standing
from passerelle.registry.sign import verify_version
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages.acceptance import MEANINGS
from passerelle.stages.champion import champion_of, judged_beside
from passerelle.stages.compare import best_run
from passerelle.stages.context import CRITERIA, Context, Progress, silent, stage
from passerelle.stages.criteria_change import change_of_criteria, check_criteria, criteria_before, criteria_of_project
from passerelle.stages.judgement import REPORT, Judgement, PromotionRequest, judgement_of
from passerelle.stages.missing_moves import check_moves_or_accepted
from passerelle.stages.promote_digest import way_to_a_digest
from passerelle.stages.promote_options import PromoteOptions
from passerelle.stages.promote_rows import labelled_rows
from passerelle.stages.promotion import Promotion, put_in_production, stands, unchanged
from passerelle.stages.register import Registered, register
from passerelle.stages.serving_libraries import serving_libraries
from passerelle.stages.shared_model import tags_of_project
from passerelle.stages.withdrawal import check_not_withdrawn

__all__ = [
    "REPORT",
    "PromoteOptions",
    "Promotion",
    "PromotionRequest",
    "promote",
    "promotion_request",
    "put_in_production",
    "run",
]

NEWEST = PromoteOptions()
_NO_REPORT = "no report yet: the gate judges registered versions; passerelle register; passerelle promote --dry-run --report report.html"
_NO_VERSION = "passerelle register\npasserelle adopt models:/NAME/VERSION"


@stage
def run(
    context: Context,
    options: PromoteOptions = NEWEST,
    *,
    project: Path = Path(),
    criteria: Path = CRITERIA,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Promotion:
    """Put a version into production, unless it is there already or the gate refuses it.

    Args:
        project: Root of the project, which says which libraries the serving image gets.
        criteria: File of the criteria.
        progress: Called with a line for what takes time.

    Raises:
        UsageError: As `PromoteOptions.check`, the criteria are wrong, or the folder is no project.
        As `promote`.
    """
    options.check()
    read, request = read_criteria(criteria), promotion_request(context, project, options, progress)
    if options.held_out is not None and read.held_out.reference is not None:
        message = f"{criteria} pins a reference to judge by, {read.held_out.reference.file}: --held-out names other rows"
        raise UsageError(message, hint="passerelle promote")
    registry = context.registry
    if not options.best:
        ref = _chosen(registry, options.version)
        return promote(registry, ref=ref, criteria=read, request=_with_rows(registry, ref, request, options), dry_run=dry_run)
    tags, run_id = tags_of_project(project), best_run(registry, read)
    progress(f"the best candidate is run {run_id}" if dry_run else f"registering the best candidate, run {run_id}")
    best = register(registry, run_id=run_id, criteria=read, signing=context.signing, dry_run=dry_run, tags=tags)
    if best.ref is None:
        planned = _planned(registry, best, context.signing)
        return replace(planned, notes=(_NO_REPORT,)) if options.report else planned
    return promote(registry, ref=best.ref, criteria=read, request=_with_rows(registry, best.ref, request, options), dry_run=dry_run)


def _with_rows(registry: Registry, ref: ModelVersionRef, request: PromotionRequest, options: PromoteOptions) -> PromotionRequest:
    """Return the request with the labelled rows that the options name."""
    if options.held_out is None:
        return request
    return replace(request, given=labelled_rows(registry, ref, options.held_out, options.labels))


def promotion_request(context: Context, project: Path, options: PromoteOptions = NEWEST, progress: Progress = silent) -> PromotionRequest:
    """Return the request for a promotion from this context: its author, its environment and the libraries of the serving image.

    Raises:
        UsageError: The project does not say what its image gets.
    """

    def write(page: str) -> None:
        if options.report is not None:
            options.report.write_text(page, encoding="utf-8")

    return PromotionRequest(
        who=context.author,
        force=options.force,
        reason=options.reason,
        waive=options.waive,
        development=context.development,
        serving=serving_libraries(project),
        language=options.language or context.state.language,
        signing=context.signing,
        on_report=write,
        report_file=options.report,
        project=project,
        accept=options.accept,
        puts_back=False,
        project_criteria=criteria_of_project(project),
        progress=progress,
    )


def _chosen(registry: Registry, version: int | None) -> ModelVersionRef:
    name = registry.settings.registered_model
    found = registry.model_version(name, version) if version else registry.newest_version(name)
    if found is None:
        raise NotFoundError(f"'{name}' has no version", hint=_NO_VERSION)
    return found.ref


def _planned(registry: Registry, best: Registered, signing: SigningSettings) -> Promotion:
    """Return what promoting the best candidate would do, which is no version yet; the gate judges it once it is one."""
    name = registry.settings.registered_model
    verified_ledger(registry, name, signing)
    now, newest = standing(registry, name), registry.newest_version(name)
    ref = ModelVersionRef(name, newest.ref.version + 1 if newest else 1, best.run_id)
    first = (f"register '{best.candidate}' as version {ref.version}", "the gate judges it", "ledger: a new entry")
    return Promotion(ref, now.production, changed=True, steps=(*first, *(words for words, _ in plan(registry, ref, now))), dry_run=True)


def promote(registry: Registry, *, ref: ModelVersionRef, criteria: Criteria, request: PromotionRequest, dry_run: bool = False) -> Promotion:
    """Put the version into production, unless it is there already or the gate refuses it.

    Raises:
        RefusedError: The gate refuses, forcing or waiving is not allowed here, or a rollback took the version out of production and
            nobody says why it should be put back.
        IntegrityError: The version was not registered by passerelle: it has no artifact digest. Or the ledger is broken, or lacks a move.
        NotFoundError: There is nothing to judge by.
        BusyError: Somebody else promotes at this moment; says who.
    """
    version = registry.model_version(ref.registered_model, ref.version)
    _examine(registry, version, request)
    if request.signing and request.signing.required:
        manifest = registry.read_json(version.ref.run_id, MANIFEST)
        verify_version(registry, version.ref, manifest, request.signing)
        if digest_of_manifest(manifest) != version.tags[ARTIFACT_DIGEST]:
            message = f"the manifest of {version.ref} is signed, and not the one that it was registered with"
            raise IntegrityError(message, hint=TRAIN_AGAIN)
    allow(criteria, request.waive, who=request.who, reason=request.reason)
    before = standing(registry, ref.registered_model)
    request = replace(request, taken=[])
    on = request.reasons.may("ledger")
    ledger = request.since or verified_ledger(registry, ref.registered_model, request.signing, unanchored=on)
    if ledger.unanchored:
        request.reasons.accepts("ledger")
    request = replace(request, since=ledger)
    if stands(before, ledger, ref.version):
        there = unchanged(registry, version.ref, before, ledger, who=request.who, signing=request.signing, dry_run=dry_run)
        return _reported(registry, there, criteria, request)
    check_moves_or_accepted(registry, ledger.entries, version.ref, request.reasons)
    judgement, entry, notes = _judged(registry, version, criteria, request, holds_alias=before.production, ledger=ledger, dry_run=dry_run)
    if not request.puts_back:
        check_not_withdrawn(ledger.entries, version.ref, request.reasons)
    accepted = tuple(sorted(request.taken))
    entry, notes = replace(entry, accepted=accepted), (*notes, *(f"accepted: {MEANINGS[each]} ({each})" for each in accepted))
    moved = put_in_production(registry, version.ref, entry, since=ledger, judged=True, signing=request.signing, dry_run=dry_run)
    return replace(moved, findings=judgement.findings, report=judgement.report, notes=(*moved.notes, *notes))


def _judged(
    registry: Registry,
    version: VersionInfo,
    criteria: Criteria,
    request: PromotionRequest,
    *,
    holds_alias: int | None,
    ledger: VerifiedLedger,
    dry_run: bool,
) -> tuple[Judgement, Entry, tuple[str, ...]]:
    """Return what the gate says of the version, the ledger's entry of its promotion, and what is to be told besides.

    Raises:
        RefusedError: As `check_criteria`, `judged_beside` and `judgement_of`.
    """
    ref = version.ref
    other = criteria_before(ledger.entries, criteria, request.project_criteria)
    if not dry_run:
        retry = f"passerelle promote --version {ref.version} --criteria FILE"
        check_criteria(other, criteria, request.reasons, development=request.development, retry=retry)
    judgement, champion = judged_beside(
        registry,
        ref,
        champion_of(registry, ledger, holds_alias),
        request,
        lambda number: judgement_of(registry, ref, number, criteria, request, dry_run=dry_run),
    )
    entry = replace(judgement.record(_entry(version, request)), criteria_before=other)
    lost = {REANCHORED: "MLflow knew none of the entries before"} if ledger.unanchored else {}
    lost |= {"champion": champion.gone} if champion.gone else {}
    waived = {**entry.waived, **{name: f"{request.who}: {request.reason} ({why})" for name, why in lost.items()}}
    notes = (*lost.values(), *([change_of_criteria(other, criteria)] if other else []), *judgement.notes)
    return judgement, replace(entry, waived=waived), notes


def _reported(registry: Registry, there: Promotion, criteria: Criteria, request: PromotionRequest) -> Promotion:
    """Return the version that is in production already with what the gate says of it today, where its page is asked for."""
    if request.report_file is None:
        return there
    judgement = judgement_of(registry, there.ref, None, criteria, replace(request, force=True), dry_run=True)
    return replace(there, findings=judgement.findings, report=judgement.report, notes=judgement.notes)


def _entry(version: VersionInfo, request: PromotionRequest) -> Entry:
    return Entry(
        number=0,
        before="",
        when=ledgers.now(),
        who=request.who,
        what="promote",
        registered_model=version.ref.registered_model,
        from_version=None,
        to_version=version.ref.version,
        run_id=version.ref.run_id,
        artifact_digest=version.tags[ARTIFACT_DIGEST],
        reason=request.reason,
        trusted_pickle=TRUSTED_PICKLE in version.tags,
        golden_origin=version.tags.get(GOLDEN_ORIGIN),
    )


def _examine(registry: Registry, version: VersionInfo, request: PromotionRequest) -> None:
    if ARTIFACT_DIGEST not in version.tags:
        message = f"{version.ref} has no digest of its files: it was not registered by passerelle, nor adopted"
        raise IntegrityError(message, hint=way_to_a_digest(registry, version))
    if request.force and not (request.reason and request.reason.strip()):
        raise UsageError("a forced promotion needs a reason", hint="passerelle promote --force --reason REASON")
    if request.force and not request.development:
        raise RefusedError("promotions are not forced in production", hint="passerelle promote --dry-run --report report.html")
    if TRUSTED_PICKLE in version.tags and not request.development:
        message = f"{version.ref} is a pickle that was trusted in development, and is not promoted in production"
        raise RefusedError(f"{message}; log it with serialization_format='skops'", hint="passerelle train --again; passerelle register")

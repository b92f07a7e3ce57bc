"""Give a version the alias and the stage, if it passes the gate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from passerelle.criteria import Criteria, read_criteria
from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError, RefusedError, UsageError
from passerelle.gate import report
from passerelle.gate.report_text import Language
from passerelle.gate.verdict import Verdict, allow, judge
from passerelle.model.ledger_entry import Entry
from passerelle.model.manifest import digest_of_manifest
from passerelle.names import ARTIFACT_DIGEST, MANIFEST, TRUSTED_PICKLE, ModelVersionRef
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.ledger import Ledger, now
from passerelle.registry.production import plan, standing
from passerelle.registry.sign import verify_version
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages.compare import best_run
from passerelle.stages.context import CRITERIA, Context, stage
from passerelle.stages.promote_options import PromoteOptions
from passerelle.stages.promotion import Promotion, put_in_production, stands, unchanged
from passerelle.stages.register import Registered, register
from passerelle.stages.serving_libraries import serving_libraries
from passerelle.stages.shared_model import tags_of_project

__all__ = [
    "PromoteOptions",
    "Promotion",
    "PromotionRequest",
    "promote",
    "promotion_request",
    "put_in_production",
    "run",
]

REPORT = "gate/report.html"


@dataclass(frozen=True)
class PromotionRequest:
    """Who asks for a promotion, and under which conditions the gate judges it.

    Attributes:
        who: user@host or the CI job, for the ledger.
        force: Promote although the gate refuses; needs a reason.
        reason: Why it is forced, or why checks are waived.
        waive: Checks of the gate to waive, as far as the criteria allow.
        development: Whether this is a place where promotions may be forced.
        serving: Version of each library in the serving image, for the gate.
        language: Of the gate's report.
        signing: What the version's signature is verified with, where one is required.
        on_report: Gets the report's page, before anything is refused.
        since: The ledger as it was when the caller decided to promote; None where the caller did not look.
        live: What the version did as a candidate beside the one in production, for the report.
    """

    who: str
    force: bool = False
    reason: str | None = None
    waive: Sequence[str] = ()
    development: bool = True
    serving: Mapping[str, str] | None = None
    language: Language = "fr"
    signing: SigningSettings | None = None
    on_report: Callable[[str], None] = lambda _: None
    since: VerifiedLedger | None = None
    live: report.LiveRows | None = None


NEWEST = PromoteOptions()


@stage
def run(
    context: Context, options: PromoteOptions = NEWEST, *, project: Path = Path(), criteria: Path = CRITERIA, dry_run: bool = False
) -> Promotion:
    """Put a version into production, unless it is there already or the gate refuses it.

    Args:
        project: Root of the project, which says which libraries the serving image gets.
        criteria: File of the criteria.

    Raises:
        UsageError: As `PromoteOptions.check`, the criteria are wrong, or the folder is no project.
        As `promote`.
    """
    options.check()
    read, request = read_criteria(criteria), promotion_request(context, project, options)
    registry = context.registry
    if not options.best:
        return promote(registry, ref=_chosen(registry, options.version), criteria=read, request=request, dry_run=dry_run)
    tags, run_id = tags_of_project(project), best_run(registry, read)
    best = register(registry, run_id=run_id, criteria=read, signing=context.signing, dry_run=dry_run, tags=tags)
    if best.ref is None:
        return _planned(registry, best, context.signing)
    return promote(registry, ref=best.ref, criteria=read, request=request, dry_run=dry_run)


def promotion_request(context: Context, project: Path, options: PromoteOptions = NEWEST) -> PromotionRequest:
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
        language=options.language,
        signing=context.signing,
        on_report=write,
    )


def _chosen(registry: Registry, version: int | None) -> ModelVersionRef:
    name = registry.settings.registered_model
    found = registry.model_version(name, version) if version else registry.newest_version(name)
    if found is None:
        raise NotFoundError(f"« {name} » has no version", hint="passerelle register")
    return found.ref


def _planned(registry: Registry, best: Registered, signing: SigningSettings) -> Promotion:
    """Return what promoting the best candidate would do, which is no version yet; the gate judges it once it is one."""
    name = registry.settings.registered_model
    verified_ledger(registry, name, signing)
    now, newest = standing(registry, name), registry.newest_version(name)
    ref = ModelVersionRef(name, newest.ref.version + 1 if newest else 1, best.run_id)
    first = (f"register « {best.candidate} » as version {ref.version}", "the gate judges it", "ledger: a new entry")
    return Promotion(ref, now.production, changed=True, steps=(*first, *(words for words, _ in plan(registry, ref, now))), dry_run=True)


def promote(registry: Registry, *, ref: ModelVersionRef, criteria: Criteria, request: PromotionRequest, dry_run: bool = False) -> Promotion:
    """Put the version into production, unless it is there already or the gate refuses it.

    Raises:
        RefusedError: The gate refuses, or forcing or waiving is not allowed here.
        IntegrityError: The version was not registered by passerelle: it has no artifact digest. Or the ledger is broken; says where.
        NotFoundError: There is nothing to judge by.
        BusyError: Somebody else promotes at this moment; says who.
    """
    version = registry.model_version(ref.registered_model, ref.version)
    _examine(version, request)
    if request.signing and request.signing.required:
        manifest = registry.read_json(version.ref.run_id, MANIFEST)
        verify_version(registry, version.ref, manifest, request.signing)
        if digest_of_manifest(manifest) != version.tags[ARTIFACT_DIGEST]:
            message = f"the manifest of {version.ref} is signed, and not the one that it was registered with"
            raise IntegrityError(message, hint=TRAIN_AGAIN)
    allow(criteria, request.waive, who=request.who, reason=request.reason)
    before = standing(registry, ref.registered_model)
    ledger = request.since or verified_ledger(registry, ref.registered_model, request.signing)
    if stands(before, ledger, ref.version):
        return unchanged(registry, version.ref, before, ledger, who=request.who, signing=request.signing, dry_run=dry_run)
    # The champion is the version that the ledger put into production: an alias that was moved by hand has no effect.
    verdict = _judged(registry, version.ref, ledger.in_production or before.production, criteria, request)
    page = report.html(verdict, language=request.language, live=request.live) if verdict else ""
    where = _store(registry, verdict, page, request, dry_run=dry_run) if verdict else None
    if verdict and not verdict.passed and not request.force:
        listed = "; ".join(finding.message for finding in verdict.failures)
        message = f"the gate refuses {version.ref}: {listed}; the report is {where}"
        raise RefusedError(message, hint="passerelle promote --dry-run --report report.html")
    entry = replace(_entry(version, criteria, verdict, request), report_digest=_digest(page) if page else None)
    if not dry_run:
        _keep(registry, ref.registered_model, criteria)
    moved = put_in_production(registry, version.ref, entry, since=ledger, judged=True, signing=request.signing, dry_run=dry_run)
    return replace(moved, findings=verdict.findings if verdict else (), report=where)


def _digest(content: str) -> str:
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def _keep(registry: Registry, registered_model: str, criteria: Criteria) -> None:
    """Keep the criteria beside the ledger, whose entries name them by their digest: the file's own SHA-256."""
    key = f"{Ledger(registry.objects, registered_model).criteria_folder}{criteria.digest.removeprefix('sha256:')}.json"
    if not registry.objects.create(key, criteria.canonical.encode()):
        message = f"the object {key} does not hold the criteria that it is named after: it was written by hand; "
        raise IntegrityError(message + "check who may write below ledger/ in the bucket, and remove the object", hint="passerelle promote")


def _judged(
    registry: Registry, ref: ModelVersionRef, production: int | None, criteria: Criteria, request: PromotionRequest
) -> Verdict | None:
    """Return the verdict; None where there is nothing to judge by and the promotion is forced all the same."""
    champion = registry.model_version(ref.registered_model, production).ref if production not in (None, ref.version) else None
    try:
        return judge(
            registry,
            ref=ref,
            champion=champion,
            criteria=criteria,
            serving=request.serving,
            waive=request.waive,
            who=request.who,
            reason=request.reason,
        )
    except NotFoundError:
        if request.force:
            return None
        raise


def _store(registry: Registry, verdict: Verdict, page: str, request: PromotionRequest, *, dry_run: bool) -> str:
    """Write the report beside the challenger's model and return where it is; those of earlier gate runs stay."""
    request.on_report(page)
    run_id, folder = verdict.ref.run_id, f"gate/{_digest(page).removeprefix('sha256:')[:12]}"
    if not dry_run:
        found = {
            "passed": verdict.passed,
            "criteria_digest": verdict.criteria_digest,
            "findings": [asdict(each) for each in verdict.findings],
        }
        markdown = report.markdown(verdict, language=request.language, live=request.live)
        for place in ("gate", folder):
            registry.write_text(run_id, f"{place}/report.html", page)
            registry.write_text(run_id, f"{place}/report.md", markdown)
            registry.write_json(run_id, f"{place}/verdict.json", found)
    return f"runs:/{run_id}/{REPORT}"


def _entry(version: VersionInfo, criteria: Criteria, verdict: Verdict | None, request: PromotionRequest) -> Entry:
    return Entry(
        number=0,
        before="",
        when=now(),
        who=request.who,
        what="promote",
        registered_model=version.ref.registered_model,
        from_version=None,
        to_version=version.ref.version,
        run_id=version.ref.run_id,
        artifact_digest=version.tags[ARTIFACT_DIGEST],
        criteria_digest=criteria.digest,
        metrics=dict(verdict.evidence.challenger.figures) if verdict else {},
        reason=request.reason,
        forced=request.force and not (verdict and verdict.passed),
        waived=verdict.waived if verdict else {},
        trusted_pickle=TRUSTED_PICKLE in version.tags,
    )


def _examine(version: VersionInfo, request: PromotionRequest) -> None:
    if ARTIFACT_DIGEST not in version.tags:
        hint = f"passerelle register --run {version.ref.run_id}"
        raise IntegrityError(f"{version.ref} has no digest of its files: it was not registered by passerelle", hint=hint)
    if request.force and not (request.reason and request.reason.strip()):
        raise UsageError("a forced promotion needs a reason", hint="passerelle promote --force --reason REASON")
    if request.force and not request.development:
        raise RefusedError("promotions are not forced in production", hint="passerelle promote --dry-run --report report.html")
    if TRUSTED_PICKLE in version.tags and not request.development:
        message = f"{version.ref} is a pickle that was trusted in development, and is not promoted in production"
        raise RefusedError(f"{message}; log it with serialization_format='skops'", hint="passerelle train --again; passerelle register")

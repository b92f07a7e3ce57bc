"""Give a version the alias and the stage, if it passes the gate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from passerelle.criteria import Criteria
from passerelle.errors import TRAIN_AGAIN, BusyError, IntegrityError, NotFoundError, RefusedError, UsageError
from passerelle.gate import report
from passerelle.gate.checks import Finding
from passerelle.gate.report_text import Language
from passerelle.gate.verdict import Verdict, allow, judge
from passerelle.model.manifest import digest_of_manifest
from passerelle.names import ARTIFACT_DIGEST, MANIFEST, TRUSTED_PICKLE, ModelVersionRef
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.ledger import Entry, Ledger, now
from passerelle.registry.lock import promotion_lock
from passerelle.registry.production import carry_out, plan, settled, standing
from passerelle.registry.sign import verify_version
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings

REPORT = "gate/report.html"


@dataclass(frozen=True)
class Promotion:
    """What a promotion or a rollback did, or would do.

    Attributes:
        previous: The version that was in production before, if there was one.
        changed: False when the version was in production already; nothing was changed then.
        steps: What was done, or would be, in order.
        entry: The ledger's entry.
        findings: What the gate found; empty where it was not asked.
        report: Where the gate's page is, among the artifacts of the version's run.
    """

    ref: ModelVersionRef
    previous: int | None
    changed: bool
    steps: tuple[str, ...] = ()
    entry: Entry | None = None
    dry_run: bool = False
    findings: tuple[Finding, ...] = ()
    report: str | None = None


@dataclass(frozen=True)
class Asked:
    """How a promotion is asked for.

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


def promote(registry: Registry, *, ref: ModelVersionRef, criteria: Criteria, asked: Asked, dry_run: bool = False) -> Promotion:
    """Put the version into production, unless it is there already or the gate refuses it.

    Raises:
        RefusedError: The gate refuses, or forcing or waiving is not allowed here.
        IntegrityError: The version was not registered by passerelle: it has no artifact digest. Or the ledger is broken; says where.
        NotFoundError: There is nothing to judge by.
        BusyError: Somebody else promotes at this moment; says who.
    """
    version = registry.model_version(ref.registered_model, ref.version)
    _examine(version, asked)
    if asked.signing and asked.signing.required:
        manifest = registry.read_json(version.ref.run_id, MANIFEST)
        verify_version(registry, version.ref, manifest, asked.signing)
        if digest_of_manifest(manifest) != version.tags[ARTIFACT_DIGEST]:
            message = f"the manifest of {version.ref} is signed, and not the one that it was registered with"
            raise IntegrityError(message, hint=TRAIN_AGAIN)
    allow(criteria, asked.waive, who=asked.who, reason=asked.reason)
    before = standing(registry, ref.registered_model)
    ledger = asked.since or verified_ledger(registry, ref.registered_model, asked.signing)
    if settled(before, ref.version) and ledger.in_production == ref.version:
        return Promotion(version.ref, before.previous, changed=False, dry_run=dry_run)
    # What the ledger put into production is what is to be beaten: an alias that was moved by hand decides nothing.
    verdict = _judged(registry, version.ref, ledger.in_production or before.production, criteria, asked)
    page = report.html(verdict, language=asked.language) if verdict else ""
    where = _store(registry, verdict, page, asked, dry_run=dry_run) if verdict else None
    if verdict and not verdict.passed and not asked.force:
        listed = "; ".join(finding.message for finding in verdict.failures)
        hint = f"read {where} or passerelle promote --dry-run --report report.html"
        raise RefusedError(f"the gate refuses {version.ref}: {listed}", hint=hint)
    entry = replace(_entry(version, criteria, verdict, asked), report_digest=_digest(page) if page else None)
    if not dry_run:
        _keep(registry, ref.registered_model, criteria)
    moved = put_in_production(registry, version.ref, entry, since=ledger, judged=True, signing=asked.signing, dry_run=dry_run)
    return replace(moved, findings=verdict.findings if verdict else (), report=where)


def _digest(content: str) -> str:
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def _keep(registry: Registry, registered_model: str, criteria: Criteria) -> None:
    """Keep the criteria beside the ledger, whose entries name them by their digest: the file's own SHA-256."""
    content = json.dumps(criteria.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    key = f"{Ledger(registry.objects, registered_model).criteria_folder}{criteria.digest.removeprefix('sha256:')}.json"
    if not registry.objects.create(key, content.encode()):
        message = f"the object {key} does not hold the criteria that it is named after: somebody wrote it by hand"
        raise IntegrityError(message, hint="look at who may write below ledger/ in the bucket, remove the object; then passerelle promote")


def _judged(registry: Registry, ref: ModelVersionRef, production: int | None, criteria: Criteria, asked: Asked) -> Verdict | None:
    """Return the verdict; None where there is nothing to judge by and the promotion is forced all the same."""
    champion = registry.model_version(ref.registered_model, production).ref if production not in (None, ref.version) else None
    try:
        return judge(
            registry,
            ref=ref,
            champion=champion,
            criteria=criteria,
            serving=asked.serving,
            waive=asked.waive,
            who=asked.who,
            reason=asked.reason,
        )
    except NotFoundError:
        if asked.force:
            return None
        raise


def _store(registry: Registry, verdict: Verdict, page: str, asked: Asked, *, dry_run: bool) -> str:
    """Write the report beside the challenger's model and return where it is; those of earlier gate runs stay."""
    asked.on_report(page)
    run_id, folder = verdict.ref.run_id, f"gate/{_digest(page).removeprefix('sha256:')[:12]}"
    if not dry_run:
        found = {
            "passed": verdict.passed,
            "criteria_digest": verdict.criteria_digest,
            "findings": [asdict(each) for each in verdict.findings],
        }
        markdown = report.markdown(verdict, language=asked.language)
        for place in ("gate", folder):
            registry.write_text(run_id, f"{place}/report.html", page)
            registry.write_text(run_id, f"{place}/report.md", markdown)
            registry.write_json(run_id, f"{place}/verdict.json", found)
    return f"runs:/{run_id}/{REPORT}"


def _entry(version: VersionInfo, criteria: Criteria, verdict: Verdict | None, asked: Asked) -> Entry:
    return Entry(
        number=0,
        before="",
        when=now(),
        who=asked.who,
        what="promote",
        registered_model=version.ref.registered_model,
        from_version=None,
        to_version=version.ref.version,
        run_id=version.ref.run_id,
        artifact_digest=version.tags[ARTIFACT_DIGEST],
        criteria_digest=criteria.digest,
        metrics=dict(verdict.evidence.challenger.figures) if verdict else {},
        reason=asked.reason,
        forced=asked.force and not (verdict and verdict.passed),
        waived=verdict.waived if verdict else {},
        trusted_pickle=TRUSTED_PICKLE in version.tags,
    )


def put_in_production(
    registry: Registry,
    ref: ModelVersionRef,
    entry: Entry,
    *,
    since: VerifiedLedger | None = None,
    judged: bool = False,
    signing: SigningSettings | None = None,
    dry_run: bool = False,
) -> Promotion:
    """Move alias and stage to the version under the lock, with the entry in the ledger.

    Args:
        since: The ledger as it was verified for this decision before the lock was taken.
        judged: Whether the version was judged next to what the ledger had in production then.
        signing: What the entry is signed with, and the ledger verified with.

    Raises:
        BusyError: Somebody else promotes at this moment, or did so since the version was judged: the verdict is about another champion.
        IntegrityError: The ledger is broken; says where.
    """
    decision = _Decision(registry, ref, entry, since, judged, signing)
    if dry_run:
        return _moved(decision, lambda: None, dry_run=True)
    with promotion_lock(registry.objects, ref.registered_model, entry.who, f"{entry.what} of version {ref.version}") as held:
        return _moved(decision, held, dry_run=False)


@dataclass(frozen=True)
class _Decision:
    """What `put_in_production` was asked for."""

    registry: Registry
    ref: ModelVersionRef
    entry: Entry
    since: VerifiedLedger | None
    judged: bool
    signing: SigningSettings | None


def _moved(asked: _Decision, held: Callable[[], None], *, dry_run: bool) -> Promotion:
    registry, ref, since = asked.registry, asked.ref, asked.since
    before = standing(registry, ref.registered_model)
    ledger = verified_ledger(registry, ref.registered_model, asked.signing, since=since)
    if settled(before, ref.version) and ledger.in_production == ref.version:
        return Promotion(ref, before.previous, changed=False, dry_run=dry_run)
    last = ledger.last
    if last is not None and asked.judged and since is not None and ledger.number != since.number:
        did = f"{last.what} of version {last.to_version} by {last.who} at {last.when[:19]}"
        message = f"the ledger has a new entry, {did}, since version {ref.version} was checked"
        raise BusyError(message, hint="passerelle status; then the same command again, which judges anew")
    former = before.previous if before.production == ref.version else before.production
    steps = (f"ledger: entry {ledger.number + 1}", *(words for words, _ in plan(registry, ref, before)))
    if dry_run:
        return Promotion(ref, former, changed=True, steps=steps, dry_run=True)
    numbered = replace(asked.entry, number=ledger.number + 1, from_version=before.production)
    written = carry_out(registry, ref, before, numbered, ledger=ledger, signing=asked.signing, held=held)
    return Promotion(ref, former, changed=True, steps=steps, entry=written)


def _examine(version: VersionInfo, asked: Asked) -> None:
    if ARTIFACT_DIGEST not in version.tags:
        hint = f"passerelle register --run {version.ref.run_id}"
        raise IntegrityError(f"{version.ref} has no digest of its files: it was not registered by passerelle", hint=hint)
    if asked.force and not (asked.reason and asked.reason.strip()):
        raise UsageError("a forced promotion needs a reason", hint="passerelle promote --force --reason '…'")
    if asked.force and not asked.development:
        raise RefusedError("promotions are not forced in production", hint="passerelle promote --dry-run --report report.html")
    if TRUSTED_PICKLE in version.tags and not asked.development:
        hint = "train it again and log it with serialization_format='skops'; then passerelle register"
        raise RefusedError(f"{version.ref} is a pickle that was trusted in development: it is not promoted in production", hint=hint)

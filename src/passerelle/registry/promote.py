"""Give a version the alias and the stage, if it meets the criteria."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from passerelle.errors import IntegrityError, RefusedError, UsageError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.criteria import Criteria
from passerelle.registry.ledger import Entry, Ledger, now
from passerelle.registry.lock import promotion_lock
from passerelle.registry.move import carry_out, plan, settled, standing
from passerelle.registry.register import ARTIFACT_DIGEST


@dataclass(frozen=True)
class Promotion:
    """What a promotion or a rollback did, or would do.

    Attributes:
        previous: The version that was in production before, if there was one.
        changed: False when the version was in production already; nothing was changed then.
        steps: What was done, or would be, in order.
        entry: The ledger's entry.
    """

    ref: ModelVersionRef
    previous: int | None
    changed: bool
    steps: tuple[str, ...] = ()
    entry: Entry | None = None
    dry_run: bool = False


def promote(
    registry: Registry,
    *,
    ref: ModelVersionRef,
    criteria: Criteria,
    who: str,
    force: bool = False,
    reason: str | None = None,
    development: bool = True,
    dry_run: bool = False,
) -> Promotion:
    """Put the version into production, unless it is there already.

    Args:
        who: user@host or the CI job, for the ledger.
        force: Promote although criteria are not met; needs a reason.
        development: Whether this is a place where promotions may be forced.

    Raises:
        RefusedError: A criterion is not met, or forcing is not allowed here.
        IntegrityError: The version was not registered by passerelle: it has no artifact digest.
        BusyError: Somebody else promotes at this moment; says who.
    """
    version = registry.model_version(ref.registered_model, ref.version)
    _examine(registry, version, criteria, force=force, reason=reason, development=development)
    entry = _entry(version, criteria, who, registry.run(version.ref.run_id).metrics, reason=reason, forced=force)
    return put_in_production(registry, version.ref, entry, dry_run=dry_run)


def _entry(version: VersionInfo, criteria: Criteria, who: str, metrics: Mapping[str, float], *, reason: str | None, forced: bool) -> Entry:
    return Entry(
        number=0,
        before="",
        when=now(),
        who=who,
        what="promote",
        registered_model=version.ref.registered_model,
        from_version=None,
        to_version=version.ref.version,
        run_id=version.ref.run_id,
        artifact_digest=version.tags[ARTIFACT_DIGEST],
        criteria_digest=criteria.digest,
        metrics=metrics,
        reason=reason,
        forced=forced,
    )


def put_in_production(registry: Registry, ref: ModelVersionRef, entry: Entry, *, dry_run: bool) -> Promotion:
    """Move alias and stage to the version under the lock, with the entry in the ledger."""
    name = ref.registered_model
    if dry_run:
        return _moved(registry, ref, entry, dry_run=True)
    with promotion_lock(registry.objects, name, entry.who, f"{entry.what} of version {ref.version}"):
        return _moved(registry, ref, entry, dry_run=False)


def _moved(registry: Registry, ref: ModelVersionRef, entry: Entry, *, dry_run: bool) -> Promotion:
    before = standing(registry, ref.registered_model)
    if settled(before, ref.version):
        return Promotion(ref, before.previous, changed=False, dry_run=dry_run)
    last = Ledger(registry.objects, ref.registered_model).last()
    steps = ("ledger: entry " + str(last.number + 1 if last else 1), *(words for words, _ in plan(registry, ref, before)))
    if dry_run:
        return Promotion(ref, before.production, changed=True, steps=steps, dry_run=True)
    numbered = Entry(**{**vars(entry), "number": last.number + 1 if last else 1, "from_version": before.production})
    written = carry_out(registry, ref, before, numbered)
    return Promotion(ref, before.production, changed=True, steps=steps, entry=written)


def _examine(registry: Registry, version: VersionInfo, criteria: Criteria, *, force: bool, reason: str | None, development: bool) -> None:
    if ARTIFACT_DIGEST not in version.tags:
        hint = f"passerelle register --run {version.ref.run_id}"
        raise IntegrityError(f"{version.ref} has no digest of its files: it was not registered by passerelle", hint=hint)
    if force and not (reason and reason.strip()):
        raise UsageError("a forced promotion needs a reason", hint="passerelle promote --force --reason '…'")
    if force and not development:
        raise RefusedError("promotions are not forced in production", hint="passerelle compare shows what the candidate fails")
    failures = criteria.check(registry.run(version.ref.run_id).metrics)
    if failures and not force:
        listed = "; ".join(failure.message for failure in failures)
        raise RefusedError(f"{version.ref} does not meet the criteria: {listed}", hint="passerelle compare")

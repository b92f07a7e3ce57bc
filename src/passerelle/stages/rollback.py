"""Put a version back that was in production before: no training, no download, no gate."""

from __future__ import annotations

from dataclasses import replace

from passerelle.errors import IntegrityError, NotFoundError, RefusedError
from passerelle.model.ledger_entry import Entry
from passerelle.names import ARTIFACT_DIGEST, CRITERIA_DIGEST, PREVIOUS, TRUSTED_PICKLE, ModelVersionRef
from passerelle.registry import ledger as ledgers
from passerelle.registry.chain import entries_known, promotion_of, stood
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.production import standing
from passerelle.registry.recorded_origin import recorded
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages.context import Context, stage
from passerelle.stages.promotion import Promotion, put_in_production, stands, unchanged


@stage
def run(context: Context, *, version: int | None = None, reason: str | None = None, dry_run: bool = False) -> Promotion:
    """Put a former version back into production.

    Args:
        version: Where to; by default the version that was in production before.
        reason: Written in the ledger.

    Raises:
        OutsideError: MLflow or S3 does not answer.
        As `rollback`.
    """
    return rollback(
        context.registry,
        who=context.author,
        version=version,
        reason=reason,
        development=context.development,
        signing=context.signing,
        dry_run=dry_run,
    )


def rollback(
    registry: Registry,
    *,
    who: str,
    version: int | None = None,
    reason: str | None = None,
    development: bool = True,
    signing: SigningSettings | None = None,
    dry_run: bool = False,
) -> Promotion:
    """Put a former version back into production; it becomes `production`, and the one that was becomes `previous`.

    Straight after a rollback, another one that names no version changes nothing: it would put back what was just taken out.
    Only a version that passed the gate before: the ledger must say that the version was in production, with the same files.

    Args:
        version: Where to; by default the version that holds the alias `previous`.
        development: Whether a pickle that was trusted may go into production here.
        signing: What the ledger's entry is signed with, and the ledger verified with.

    Raises:
        NotFoundError: No version holds the alias `previous`, or the version that was named does not exist.
        RefusedError: The version was never in production, or is a pickle that was trusted in development.
        IntegrityError: Its digest is not the one that it was in production with, or the ledger is broken; says where.
        BusyError: Somebody else promotes at this moment; says who.
    """
    name = registry.settings.registered_model
    ledger = verified_ledger(registry, name, signing)
    if version is None and (there := _after_a_rollback(registry, ledger, who, signing, dry_run=dry_run)):
        return there
    target = version if version is not None else registry.aliases(name).get(str(PREVIOUS))
    if target is None:
        raise NotFoundError(f"'{name}' has no previous version to go back to", hint="passerelle history; passerelle rollback --version N")
    info = registry.model_version(name, target)
    _check_was_there(info, ledger)
    if TRUSTED_PICKLE in info.tags and not development:
        message = f"{info.ref} is a pickle that was trusted in development"
        raise RefusedError(message, hint="passerelle history; passerelle rollback --version N")
    entry = replace(_entry(info, who, reason), criteria_digest=recorded(registry, info).tags.get(CRITERIA_DIGEST))
    return put_in_production(registry, info.ref, entry, since=ledger, signing=signing, dry_run=dry_run)


def _after_a_rollback(
    registry: Registry, ledger: VerifiedLedger, who: str, signing: SigningSettings | None, *, dry_run: bool
) -> Promotion | None:
    """Return that nothing is to be done, where a rollback put into production what is there; None otherwise."""
    last = ledger.last_move
    before = standing(registry, registry.settings.registered_model)
    if last is None or last.what != "rollback" or not stands(before, ledger, last.to_version):
        return None
    ref = ModelVersionRef(last.registered_model, last.to_version, last.run_id)
    done = unchanged(registry, ref, before, ledger, who=who, signing=signing, dry_run=dry_run)
    note = f"{last.who} put it back at {last.when[:19]}; another version takes its number: passerelle rollback --version N"
    return replace(done, notes=(note,))


def _entry(info: VersionInfo, who: str, reason: str | None) -> Entry:
    return Entry(
        number=0,
        before="",
        when=ledgers.now(),
        who=who,
        what="rollback",
        registered_model=info.ref.registered_model,
        from_version=None,
        to_version=info.ref.version,
        run_id=info.ref.run_id,
        artifact_digest=info.tags.get(ARTIFACT_DIGEST, ""),
        reason=reason or f"version {info.ref.version} was in production before",
        trusted_pickle=TRUSTED_PICKLE in info.tags,
    )


def _check_was_there(info: VersionInfo, ledger: VerifiedLedger) -> None:
    """Check that the version was in production as it is now.

    Raises:
        RefusedError: It was never in production.
        IntegrityError: It was, with other files.
    """
    number, digest = info.ref.version, info.tags.get(ARTIFACT_DIGEST, "")
    if promotion_of(ledger.entries, info.ref, digest) is not None:
        return
    if not any(entry.to_version == number and entry.run_id == info.ref.run_id for entry in stood(entries_known(ledger.entries))):
        message = f"{info.ref} was never in production, and a rollback does not ask the gate"
        raise RefusedError(message, hint=f"passerelle promote --version {number}")
    message = f"{info.ref} does not have the digest that it was in production with: somebody changed it"
    raise IntegrityError(message, hint="passerelle history --verify; passerelle rollback --version N")

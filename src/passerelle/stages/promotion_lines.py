"""The entries of the ledger that put a version into production, as they travel with its bento model."""

from __future__ import annotations

from passerelle.errors import IntegrityError, RefusedError
from passerelle.model.promotion_proof import lines_of
from passerelle.names import ARTIFACT_DIGEST
from passerelle.registry.chain import promotion_of
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages.missing_moves import check_moves


def lines_of_promotion(registry: Registry, version: VersionInfo, signing: SigningSettings | None, *, alias: bool, required: bool) -> bytes:
    """Return the lines that prove that the ledger put this version, with this run and these files, into production; empty without any.

    Args:
        alias: Whether the version is asked for as the one in production: the ledger's last entry must have left it there.
        required: Whether a version is refused that was never in production.

    Raises:
        RefusedError: No promotion put the version there.
        IntegrityError: The ledger is broken or was put back to an earlier state, or the version that holds the alias is not the one that
            was promoted.
    """
    try:
        ledger = verified_ledger(registry, version.ref.registered_model, signing)
        if alias:
            _check_alias(version, ledger)
        if required:
            check_moves(registry, ledger.entries, version.ref, "is not imported")
        entry = promotion_of(ledger.entries, version.ref, version.tags.get(ARTIFACT_DIGEST, ""))
        if entry is not None:
            return lines_of(ledger.entries[entry.number - 1 :], signing)
    except IntegrityError:
        if required:
            raise
        return b""
    if required and not alias:
        number = version.ref.version
        message = f"no promotion ever put {version.ref} into production, and in production only such versions are imported"
        hint = f"passerelle promote --version {number}; passerelle import --version {number}"
        raise RefusedError(message, hint=hint)
    return b""


def _check_alias(version: VersionInfo, ledger: VerifiedLedger) -> None:
    """Check that the ledger's last entry left this version in production, with these files; raises IntegrityError otherwise."""
    last = ledger.last_move
    if last is None or ledger.in_production != version.ref.version:
        ledger_text = f"the ledger's last entry {ledger.in_production or 'none'}" if last else "the ledger is empty"
        raise IntegrityError(f"the alias holds {version.ref}, {ledger_text}: no promotion put it there", hint="passerelle status")
    # Older entries that undid the one before name no run and no digest.
    if last.run_id and last.run_id != version.ref.run_id:
        message = f"{version.ref} is of the run {version.ref.run_id}, and the one that was promoted of {last.run_id}: it was made anew"
        raise IntegrityError(message, hint="passerelle status")
    there = [entry.artifact_digest for entry in ledger.entries if entry.moves_production and entry.to_version == version.ref.version]
    digest = next((each for each in reversed(there) if each), None)
    if digest is not None and digest != version.tags.get(ARTIFACT_DIGEST):
        message = f"{version.ref} does not have the digest that it was promoted with: somebody changed it"
        raise IntegrityError(message, hint="passerelle history --verify; passerelle rollback --version N")

"""Begin and end a candidate: the ledger first, then the alias."""

from __future__ import annotations

from collections.abc import Callable

from passerelle.errors import BusyError
from passerelle.model.ledger_entry import CANDIDATE, CANDIDATE_ENDED, CandidateTerms, Entry
from passerelle.names import CANDIDATE_ALIAS, ModelVersionRef
from passerelle.registry import ledger as ledgers
from passerelle.registry.anchors import confirm, publish, unpublished
from passerelle.registry.client import Registry
from passerelle.registry.verified import VerifiedLedger, append, verified_ledger
from passerelle.settings import SigningSettings

#: Why a candidate takes part no longer.
PROMOTED, WITHDRAWN, BACKED_OUT = "promoted", "withdrawn", "backed out"


def candidate_of(ledger: VerifiedLedger) -> Entry | None:
    """Return the entry about the candidate that takes part; None without one."""
    last = ledger.last_of_candidate
    return last if last is not None and last.what == CANDIDATE else None


def entry_of_candidate(
    ref: ModelVersionRef, digest: str, who: str, *, terms: CandidateTerms | None, ended: str | None = None, reason: str | None = None
) -> Entry:
    """Return the entry that begins a candidate under these terms, or ends it; `append` gives it its number."""
    return Entry(
        number=0,
        before="",
        when=ledgers.now(),
        who=who,
        what=CANDIDATE if terms else CANDIDATE_ENDED,
        registered_model=ref.registered_model,
        from_version=None,
        to_version=ref.version,
        run_id=ref.run_id,
        artifact_digest=digest,
        reason=reason,
        candidate=terms,
        ended=ended,
    )


def settled_candidate(registry: Registry, entry: Entry) -> bool:
    """Return whether MLflow has all of the entry about a candidate, and the alias stands as it says."""
    alias = registry.aliases(entry.registered_model).get(str(CANDIDATE_ALIAS))
    return alias == (entry.to_version if entry.what == CANDIDATE else None) and not unpublished(registry, entry)


def write_candidate(
    registry: Registry, entry: Entry, *, ledger: VerifiedLedger, signing: SigningSettings | None, check_lock: Callable[[], None]
) -> Entry:
    """Write the entry and let the alias follow it; return it as it was written.

    An interruption leaves a candidate that no service follows, or an alias that none believes: the same command completes it.

    Args:
        entry: The next one, or the ledger's last one about a candidate, which is completed.

    Raises:
        BusyError: Somebody else wrote the ledger first, or went on because this took too long.
    """
    written = entry if entry.number else append(registry, ledger, entry, signing, check_lock=check_lock)
    if written is None:
        raise BusyError(f"the ledger of '{entry.registered_model}' has a new entry", hint="passerelle rollout --status")
    check_lock()
    publish(registry, written)
    confirm(registry, written)
    check_lock()
    if written.what == CANDIDATE:
        registry.set_alias(ModelVersionRef(written.registered_model, written.to_version, written.run_id), str(CANDIDATE_ALIAS))
    else:
        registry.delete_alias(written.registered_model, str(CANDIDATE_ALIAS))
    return written


def end_promoted(
    registry: Registry, before: VerifiedLedger, move: Entry, *, signing: SigningSettings | None, check_lock: Callable[[], None]
) -> None:
    """End the candidate that a move has just put into production: after a rollback it must not answer part of the requests again.

    So does the next move, where the one that promoted the candidate was interrupted before this.

    Args:
        before: The ledger as it was before the move.
    """
    last = candidate_of(before)
    if last is None or last.to_version not in (move.to_version, before.in_production):
        return
    ref = ModelVersionRef(last.registered_model, last.to_version, last.run_id)
    entry = entry_of_candidate(ref, last.artifact_digest, move.who, terms=None, ended=PROMOTED)
    ledger = verified_ledger(registry, move.registered_model, signing)
    write_candidate(registry, entry, ledger=ledger, signing=signing, check_lock=check_lock)

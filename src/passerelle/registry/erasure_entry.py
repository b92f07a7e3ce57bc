"""An erasure from the prediction log as an entry of the ledger: who, when, why and how many answers; none of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from passerelle.errors import BusyError
from passerelle.model.ledger_entry import ERASURE, Entry, ErasedAnswers
from passerelle.model.prediction_id import day_of
from passerelle.registry import ledger as ledgers
from passerelle.registry.anchors import confirm, publish
from passerelle.registry.client import Registry
from passerelle.registry.lock import promotion_lock
from passerelle.registry.verified import append, complete, verified_ledger
from passerelle.settings import SigningSettings


def erased_answers(ids: Iterable[str]) -> ErasedAnswers:
    """Return what the ledger holds of erased answers."""
    each = sorted(set(ids))
    digest = hashlib.sha256("".join(f"{one}\n" for one in each).encode()).hexdigest()
    return ErasedAnswers(len(each), f"sha256:{digest}", tuple(sorted({day_of(one).isoformat() for one in each})))


def record_erasure(
    registry: Registry, registered_model: str, erased: ErasedAnswers, *, who: str, reason: str | None, signing: SigningSettings | None
) -> tuple[Entry, bool]:
    """Return the entry about the erasure, and whether it was written now; the same answers are recorded once.

    Raises:
        BusyError: Somebody else writes to the ledger at this moment.
        IntegrityError: The ledger is broken; says where.
        OutsideError: MLflow or S3 does not answer.
    """
    with promotion_lock(registry.objects, registered_model, who, "record of an erasure") as check_lock:
        ledger = verified_ledger(registry, registered_model, signing)
        if ledger.unwritten or ledger.unconfirmed:
            complete(registry, ledger, check_lock=check_lock)
        former = next((entry for entry in ledger.entries if entry.erased == erased), None)
        if former is not None:
            return former, False
        written = append(registry, ledger, _entry(registered_model, erased, who, reason), signing, check_lock=check_lock)
        if written is None:
            raise BusyError(f"the ledger of '{registered_model}' has a new entry; run this command again", hint="passerelle history")
        publish(registry, written)
        confirm(registry, written)
        return written, True


def _entry(registered_model: str, erased: ErasedAnswers, who: str, reason: str | None) -> Entry:
    return Entry(
        number=0,
        before="",
        when=ledgers.now(),
        who=who,
        what=ERASURE,
        registered_model=registered_model,
        from_version=None,
        to_version=0,
        run_id="",
        artifact_digest="",
        reason=reason,
        erased=erased,
    )

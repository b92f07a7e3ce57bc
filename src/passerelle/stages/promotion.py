"""Move the alias and the stage to a version under the lock, with an entry in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from passerelle.errors import BusyError
from passerelle.gate.checks import Finding
from passerelle.model.ledger_entry import Entry
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.lock import promotion_lock
from passerelle.registry.production import carry_out, plan, settled, standing
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings


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

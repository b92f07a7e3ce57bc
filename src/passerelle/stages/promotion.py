"""Move the alias and the stage to a version under the lock, with an entry in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from passerelle.errors import BusyError
from passerelle.gate.finding import Finding
from passerelle.model.ledger_entry import Entry
from passerelle.names import ModelVersionRef
from passerelle.registry.anchors import unpublished
from passerelle.registry.candidate_alias import candidate_of, end_promoted
from passerelle.registry.client import Registry
from passerelle.registry.lock import promotion_lock
from passerelle.registry.production import Standing, carry_out, plan, settled, standing
from passerelle.registry.verified import VerifiedLedger, complete, mend_head, verified_ledger
from passerelle.settings import SigningSettings


@dataclass(frozen=True)
class Promotion:
    """What a promotion or a rollback did, or would do.

    Attributes:
        previous: The version that was in production before, if there was one.
        changed: False when the version was in production already; nothing was moved then.
        completed: What MLflow lacked of the ledger's last move and got now, where nothing was moved.
        steps: What was done, or would be, in order.
        entry: The ledger's entry.
        findings: What the gate found; empty where it was not asked.
        report: Where the gate's page is, among the artifacts of the version's run; at a dry run, the file that was asked for.
        notes: What was assumed about the rows to judge by, and what nobody judged, a sentence each.
    """

    ref: ModelVersionRef
    previous: int | None
    changed: bool
    steps: tuple[str, ...] = ()
    entry: Entry | None = None
    dry_run: bool = False
    findings: tuple[Finding, ...] = ()
    report: str | None = None
    completed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def stands(before: Standing, ledger: VerifiedLedger, version: int) -> bool:
    """Return whether alias, stage and ledger all say that the version is in production, and MLflow has what was promoted as that version.

    An entry that undid another named no run formerly, so that a service which follows the ledger cannot verify it: a new entry mends that.
    """
    if not settled(before, version) or ledger.in_production != version or ledger.last_move is None:
        return False
    last = ledger.last_move
    return bool(last.run_id) and before.identities.get(version, (last.run_id, last.artifact_digest)) == (last.run_id, last.artifact_digest)


def unchanged(
    registry: Registry,
    ref: ModelVersionRef,
    before: Standing,
    ledger: VerifiedLedger,
    *,
    who: str,
    signing: SigningSettings | None,
    dry_run: bool,
) -> Promotion:
    """Return that the version stands, once MLflow has all of the entry that says so.

    Args:
        before: Where alias and stage stand.
        ledger: As it was verified without the lock; nothing is completed where it has a new entry by then.

    Raises:
        BusyError: Something is to be completed, and somebody else promotes at this moment; says who.
    """
    name, done = ref.registered_model, _completed(registry, ledger, signing, lambda: None, dry_run=True)
    if done and not dry_run:
        with promotion_lock(registry.objects, name, who, f"completion of entry {ledger.number}") as check_lock:
            again = verified_ledger(registry, name, signing, since=ledger)
            done = _completed(registry, again, signing, check_lock, dry_run=False) if again.number == ledger.number else ()
    return Promotion(ref, before.previous, changed=False, dry_run=dry_run, completed=done)


def _completed(
    registry: Registry, ledger: VerifiedLedger, signing: SigningSettings | None, check_lock: Callable[[], None], *, dry_run: bool
) -> tuple[str, ...]:
    """Return what the last move left to do, in words, and do it under the lock: what MLflow lacks, and the end of a promoted candidate."""
    last = ledger.last_move
    if last is None:
        return ()
    missing, candidate = unpublished(registry, last), candidate_of(ledger)
    ends = (f"end of the candidate, version {ledger.in_production}",) if candidate and candidate.to_version == ledger.in_production else ()
    head = (ledger.damaged_head,) if ledger.damaged_head else ()
    if dry_run or not (missing or ends or head):
        return (*head, *missing, *ends)
    if missing:
        complete(registry, ledger, check_lock=check_lock)
    if head:
        mend_head(registry, ledger, check_lock=check_lock)
        ledger = verified_ledger(registry, ledger.registered_model, signing)
    end_promoted(registry, ledger, last, signing=signing, check_lock=check_lock)
    left = unpublished(registry, last)
    return (*head, *(each for each in missing if each not in left), *ends)


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
    with promotion_lock(registry.objects, ref.registered_model, entry.who, f"{entry.what} of version {ref.version}") as check_lock:
        return _moved(decision, check_lock, dry_run=False)


@dataclass(frozen=True)
class _Decision:
    """What `put_in_production` was asked for."""

    registry: Registry
    ref: ModelVersionRef
    entry: Entry
    since: VerifiedLedger | None
    judged: bool
    signing: SigningSettings | None


def _moved(decision: _Decision, check_lock: Callable[[], None], *, dry_run: bool) -> Promotion:
    registry, ref, since = decision.registry, decision.ref, decision.since
    before = standing(registry, ref.registered_model)
    ledger = verified_ledger(registry, ref.registered_model, decision.signing, since=since)
    if stands(before, ledger, ref.version):
        completed = _completed(registry, ledger, decision.signing, check_lock, dry_run=dry_run)
        return Promotion(ref, before.previous, changed=False, dry_run=dry_run, completed=completed)
    last = ledger.last_move
    if last is not None and decision.judged and since is not None and last != since.last_move:
        did = f"{last.what} of version {last.to_version} by {last.who} at {last.when[:19]}"
        message = f"the ledger has a new entry, {did}, since version {ref.version} was checked; promote again, which checks it again"
        raise BusyError(message, hint=f"passerelle promote --version {ref.version}")
    former = before.previous if before.production == ref.version else before.production
    notes = (ledger.damaged_head,) if ledger.damaged_head else ()
    steps = (f"ledger: entry {ledger.number + 1}", *(words for words, _ in plan(registry, ref, before)))
    if dry_run:
        return Promotion(ref, former, changed=True, steps=steps, dry_run=True, notes=notes)
    numbered = replace(decision.entry, number=ledger.number + 1, from_version=before.production)
    written = carry_out(registry, ref, before, numbered, ledger=ledger, signing=decision.signing, check_lock=check_lock)
    end_promoted(registry, ledger, written, signing=decision.signing, check_lock=check_lock)
    return Promotion(ref, former, changed=True, steps=steps, entry=written, notes=notes)

"""The ledger for decisions: verified in full before it is read or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from passerelle.errors import BusyError, IntegrityError, UsageError
from passerelle.model.ledger_entry import CANDIDATE_KINDS, MOST_ENTRY_BYTES, Entry
from passerelle.registry.anchors import announce, confirm, publish, read_anchors, removed_entries
from passerelle.registry.chain import Anchors, Chain, LedgerFault, examine, only_unanchored, standing_entry
from passerelle.registry.client import Registry
from passerelle.registry.entry_signature import signature_faults, signed
from passerelle.registry.ledger import BEGINNING, Ledger, Stored
from passerelle.settings import SigningSettings

_ATTEMPTS = 5


@dataclass(frozen=True)
class History:
    """The entries of one registered model, the oldest first, with what the verification found.

    Attributes:
        signed_from: Number of the first entry with a signature; None where none has one.
        differences: What is said of the versions that were in production, and differs from what their manifests record.
        notes: Versions whose manifests are older ones without provenance.
        foreign: Objects in the ledger's folder that are none of its own; they count for nothing.
        looks: What is wrong with the looks at test sets that promotions were decided at.
        removed: What runs know of entries that are not in the ledger.
        damaged_head: As of `VerifiedLedger`.
    """

    registered_model: str
    entries: tuple[Entry, ...]
    verified: bool = False
    findings: tuple[LedgerFault, ...] = ()
    signed_from: int | None = None
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    damaged_head: str | None = None

    @property
    def unanchored(self) -> bool:
        """Whether nothing is wrong but that MLflow knows none of the entries: a person may go on from there."""
        return only_unanchored(self.findings)


@dataclass(frozen=True)
class VerifiedLedger:
    """The entries of one registered model, the oldest first, none of them changed, removed or inserted.

    Attributes:
        head_tag: Entity tag of the head that they were read with; None for an empty ledger.
        unwritten: Whether the last entry's own object is still missing: its writer was interrupted.
        unanchored: Whether MLflow knows none of the entries, and a person goes on from them.
        unconfirmed: Whether MLflow was told of the last entry before it was written, and not after: its writer was interrupted.
        damaged_head: What is wrong with the head, where entries and MLflow agree on the last entry: the next write replaces it.
    """

    registered_model: str
    entries: tuple[Entry, ...]
    head_tag: str | None = None
    unwritten: bool = False
    unconfirmed: bool = False
    unanchored: bool = False
    damaged_head: str | None = None

    @property
    def last(self) -> Entry | None:
        """The newest entry; None of an empty ledger."""
        return self.entries[-1] if self.entries else None

    @property
    def last_move(self) -> Entry | None:
        """The newest entry that says which version is in production; None where there is none."""
        return next((entry for entry in reversed(self.entries) if entry.moves_production), None)

    @property
    def last_of_candidate(self) -> Entry | None:
        """The newest entry about a candidate; None where there is none."""
        return next((entry for entry in reversed(self.entries) if entry.what in CANDIDATE_KINDS), None)

    @property
    def number(self) -> int:
        """Number of the newest entry; 0 of an empty ledger."""
        return len(self.entries)

    @property
    def in_production(self) -> int | None:
        """The version that the newest move left in production."""
        return (self.last_move.to_version or None) if self.last_move else None


def verified_ledger(
    registry: Registry,
    registered_model: str,
    signing: SigningSettings | None = None,
    *,
    since: VerifiedLedger | None = None,
    unanchored: bool = False,
) -> VerifiedLedger:
    """Return the ledger for a decision, verified in full: objects, chain, head, what MLflow knows, and signatures where they are required.

    Args:
        since: What was read for the same decision before; returned as it is while the head is the same.
        unanchored: Whether a person goes on from a ledger that is whole by itself, and of which MLflow knows nothing.

    Raises:
        IntegrityError: An entry was changed, removed or inserted; says which.
        BusyError: The ledger is written continuously.
        OutsideError: MLflow or S3 does not answer.
    """
    if since is not None and Ledger(registry.objects, registered_model).read_head()[1] == since.head_tag:
        return since
    stored, anchors, chain = _read(registry, registered_model, signing)
    if chain.faults and not (unanchored and only_unanchored(chain.faults)):
        raise broken(registered_model, chain.faults)
    last = chain.entries[-1] if chain.entries else None
    unconfirmed = last is not None and (last.number, last.digest) not in anchors.confirmed
    return VerifiedLedger(
        registered_model,
        chain.entries,
        stored.head_tag,
        unwritten=chain.unwritten,
        unconfirmed=unconfirmed,
        unanchored=bool(chain.faults),
        damaged_head=chain.damaged_head,
    )


def broken(registered_model: str, faults: tuple[LedgerFault, ...]) -> IntegrityError:
    """Return the error for a broken ledger, naming the first faulty entry."""
    first, more = faults[0], f" ({len(faults) - 1} more faults)" if len(faults) > 1 else ""
    message = f"the ledger of '{registered_model}' is broken at entry {first.number}: {first.problem}{more}"
    if only_unanchored(faults):
        message += "; a person who knows why may go on from it"
        return IntegrityError(message, hint="passerelle history --verify\npasserelle promote --version N --accept ledger --reason REASON")
    return IntegrityError(message, hint="passerelle history --verify")


def history(registry: Registry, registered_model: str, signing: SigningSettings | None = None) -> History:
    """Return the entries and the faults that the verification found.

    Raises:
        BusyError: The ledger is written continuously.
        OutsideError: MLflow or S3 does not answer.
    """
    stored, _, chain = _read(registry, registered_model, signing)
    signed_from = next((entry.number for entry in chain.entries if entry.signature), None)
    return History(
        registered_model,
        chain.entries,
        verified=True,
        findings=chain.faults,
        signed_from=signed_from,
        foreign=stored.foreign,
        damaged_head=chain.damaged_head,
    )


def put_back(registry: Registry, registered_model: str, entries: Sequence[Entry]) -> str | None:
    """Return what tells that the ledger was put back to an earlier state, or forged; None where nothing does.

    The first move that is missing moved what is in production by the ledger, so that one run tells it; all are asked where nothing is.

    Raises:
        BusyError: The ledger is written continuously.
        OutsideError: MLflow or S3 does not answer.
    """
    problem = _missing_move(registry, registered_model, entries)
    if problem is None:
        return None
    # Somebody may have moved production after the entries were read.
    now = history(registry, registered_model).entries
    came_since = len(now) > len(entries) and now[: len(entries)] == tuple(entries)
    return _missing_move(registry, registered_model, now) if came_since else problem


def _missing_move(registry: Registry, registered_model: str, entries: Sequence[Entry]) -> str | None:
    now = standing_entry(entries)
    return next(removed_entries(registry, registered_model, entries, run_ids=(now.run_id,) if now and now.run_id else None), None)


def append(
    registry: Registry, ledger: VerifiedLedger, entry: Entry, signing: SigningSettings | None, *, check_lock: Callable[[], None]
) -> Entry | None:
    """Write the entry as the next one; None when somebody else wrote one at its place first.

    The entry is announced to MLflow first, so that an entry which MLflow does not know was not written by passerelle. The conditional
    write of the head decides between two writers at once: exactly one gets the number. `confirm` tells MLflow that the entry is there.

    Args:
        ledger: What the decision was made on, from `verified_ledger`.
        check_lock: Raises BusyError once the lock was lost.

    Raises:
        UsageError: The entry is too long.
        OutsideError: MLflow or S3 does not answer.
    """
    if entry.number not in (0, ledger.number + 1):
        return None
    objects, last = Ledger(registry.objects, ledger.registered_model), ledger.last
    before = last.digest if last else BEGINNING
    chained = replace(entry, number=ledger.number + 1, before=before, registered_model=ledger.registered_model)
    chained = signed(chained, signing, last=last)
    if len(chained.line()) > MOST_ENTRY_BYTES:
        size = f"the entry takes {len(chained.line()):,} bytes, and the ledger holds at most {MOST_ENTRY_BYTES:,} an entry"
        raise UsageError(f"{size}: give a shorter --reason")
    if last is not None and (ledger.unwritten or ledger.unconfirmed):
        complete(registry, ledger, check_lock=check_lock)
    check_lock()
    announce(registry, chained)
    if not objects.write_head(chained, head_tag=ledger.head_tag):
        return None
    objects.write(chained)
    return chained


def complete(registry: Registry, ledger: VerifiedLedger, *, check_lock: Callable[[], None]) -> None:
    """Write what was left out of the last entry, or of the last move, by an interruption: its object, its artifact, and MLflow's tags.

    Args:
        check_lock: As of `append`.
    """
    objects = Ledger(registry.objects, ledger.registered_model)
    # An entry about a candidate may have come after a move that an older passerelle did not publish.
    newest = {entry.number: entry for entry in (ledger.last_move, ledger.last) if entry is not None}
    for _, entry in sorted(newest.items()):
        check_lock()
        objects.write(entry)
        publish(registry, entry)
        confirm(registry, entry)


def mend_head(registry: Registry, ledger: VerifiedLedger, *, check_lock: Callable[[], None]) -> None:
    """Write a damaged head anew, unless somebody else wrote it since.

    Args:
        check_lock: As of `append`.
    """
    if ledger.damaged_head and ledger.last is not None:
        check_lock()
        Ledger(registry.objects, ledger.registered_model).write_head(ledger.last, head_tag=ledger.head_tag)


def _read(registry: Registry, registered_model: str, signing: SigningSettings | None) -> tuple[Stored, Anchors, Chain]:
    """Return what is stored, what MLflow knows, and the chain of both.

    A writer may be between two steps during the reading, so that the parts do not fit. Faults count once two readings in a row agree:
    then nothing was written in between.
    """
    ledger, former = Ledger(registry.objects, registered_model), None
    for _ in range(_ATTEMPTS):
        anchors = read_anchors(registry, registered_model)
        stored = ledger.read(most=anchors.last_number)
        chain = examine(registered_model, stored, anchors)
        if not chain.faults or (stored, anchors) == former:
            if not chain.faults or only_unanchored(chain.faults):
                chain = replace(chain, faults=(*signature_faults(chain.entries, signing), *chain.faults))
            return stored, anchors, chain
        former = (stored, anchors)
    raise BusyError(f"the ledger of '{registered_model}' is being written continuously", hint="passerelle status")

"""Whether the stored lines of a ledger are the ones that were written: each chained to the one before, and known to MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from passerelle.model.ledger_entry import UNDONE, Entry, digest_of, parsed_entry
from passerelle.names import ModelVersionRef
from passerelle.registry.ledger import BEGINNING, Stored, entry_name, folder_of, parsed_head

#: The one fault of a ledger that is whole by itself, and unknown to MLflow: a person may go on from it.
UNANCHORED = (
    "MLflow does not know it, nor any other entry: the registered model was deleted and made anew, or somebody else wrote the ledger"
)


#: Of the entry by which a person went on: what it waived. Nothing goes back to what was in production before it.
REANCHORED = "ledger"


@dataclass(frozen=True)
class LedgerFault:
    """What the verification found wrong, and at which entry."""

    number: int
    problem: str


@dataclass(frozen=True)
class Anchors:
    """The entries that MLflow knows, as number and digest: to forge the ledger, these must be forged too.

    Attributes:
        confirmed: Those that were written.
        announced: The one that was about to be written last. Its writer may have been interrupted before or after.
    """

    confirmed: frozenset[tuple[int, str]] = frozenset()
    announced: tuple[int, str] | None = None

    def know(self, entry: Entry) -> bool:
        """Return whether MLflow was told of this entry, before it was written or after."""
        return (entry.number, entry.digest) in self.confirmed or (entry.number, entry.digest) == self.announced

    @property
    def last_number(self) -> int | None:
        """Number of the last entry that MLflow was told of; None where it knows none."""
        return max((number for number, _ in (*self.confirmed, *([self.announced] if self.announced else []))), default=None)

    @property
    def last_confirmed(self) -> int:
        """Number of the last entry that is known to be written; 0 for none."""
        return max((number for number, _ in self.confirmed), default=0)


@dataclass(frozen=True)
class Chain:
    """The entries that could be read, the oldest first, with what is wrong with them.

    Attributes:
        unwritten: Whether the last entry was read from the head alone: its writer was interrupted before the entry's own object.
        damaged_head: What is wrong with the head, where the entries and MLflow agree on which one is the last; None where nothing is.
    """

    entries: tuple[Entry, ...]
    faults: tuple[LedgerFault, ...]
    unwritten: bool = False
    damaged_head: str | None = None


def examine(registered_model: str, stored: Stored, anchors: Anchors | None) -> Chain:
    """Return the chain of the stored lines, compared with what MLflow knows where MLflow can be asked."""
    faults: list[LedgerFault] = []
    entries: list[Entry] = []
    before, folder = BEGINNING, folder_of(registered_model)
    for expected, (key, content) in enumerate(_counted(stored, anchors), start=1):
        entry, own = parsed_entry(content) if content is not None else None, f"{folder}{entry_name(expected)}"
        if entry is None or key != own:
            # The entries after it are chained to an unknown one.
            return Chain(tuple(entries), (LedgerFault(expected, _unreadable(key, content, own=own)),))
        faults += [LedgerFault(expected, problem) for problem in _problems(entry, content, expected, before, registered_model)]
        entries.append(entry)
        before = digest_of(content or b"")
    unwritten = _unwritten(stored.head, entries, before, registered_model)
    if unwritten is not None:
        entries.append(unwritten)
        before = unwritten.digest
        if anchors is not None and (unwritten.number, unwritten.digest) in anchors.confirmed:
            faults.append(LedgerFault(unwritten.number, "its object was removed: only the head still holds it"))
    of_head = [*_head_problems(stored.head, len(entries), before)]
    damaged = None
    if of_head and anchors is not None and _is_damaged(stored.head, entries, anchors):
        damaged = (
            f"{of_head[0].problem}; by the entries and by MLflow, entry {len(entries)} is the last one, which the next write says again"
        )
    faults += [] if damaged else of_head
    faults += _unknown(entries, anchors) if anchors is not None else ()
    return Chain(tuple(entries), tuple(sorted(faults, key=lambda fault: fault.number)), unwritten is not None, damaged)


def _counted(stored: Stored, anchors: Anchors | None) -> tuple[tuple[str, bytes | None], ...]:
    """Return the lines that count: those that the head names, or that MLflow knows to be written. Others were put there by somebody."""
    head = parsed_head(stored.head) if stored.head is not None else None
    if head is None and not (anchors and anchors.confirmed):
        return stored.lines
    last = max(head.number if head else 0, anchors.last_confirmed if anchors else 0)
    if head is None and anchors and _is_announced(stored.lines[last : last + 1], last + 1, anchors):
        last += 1
    lines = stored.lines[:last]
    if head is None or not anchors or len(lines) != head.number or not lines:
        return lines
    # Between head and object, whatever stood at the object's name before is still there.
    interrupted = (head.number, head.digest) == anchors.announced and anchors.announced not in anchors.confirmed
    return lines[:-1] if interrupted and digest_of(lines[-1][1] or b"") != head.digest else lines


def _is_announced(lines: Sequence[tuple[str, bytes | None]], number: int, anchors: Anchors) -> bool:
    """Return whether the line is the entry that was about to be written: its writer was interrupted before MLflow was told the rest."""
    return bool(lines) and (number, digest_of(lines[0][1] or b"")) == anchors.announced


def _is_damaged(head: bytes | None, entries: Sequence[Entry], anchors: Anchors) -> bool:
    """Return whether the head can be written anew: MLflow knows the last entry, and the head holds no other one that might be it."""
    if not entries or not anchors.know(entries[-1]) or anchors.last_confirmed > len(entries):
        return False
    parsed = parsed_head(head) if head is not None else None
    if parsed is None or parsed.number < len(entries):
        return True
    entry = parsed_entry(parsed.entry.encode("utf-8", "surrogatepass"))
    announced = len(entries) < parsed.number <= (anchors.last_number or 0)
    return not announced and (entry is None or entry.digest != parsed.digest)


def only_unanchored(faults: Sequence[LedgerFault]) -> bool:
    """Return whether nothing is wrong but that MLflow knows none of the entries."""
    return [fault.problem for fault in faults] == [UNANCHORED]


def moves(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the entries that say which version is in production, the oldest first: not those about candidates."""
    return tuple(entry for entry in entries if entry.moves_production)


def stood(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the promotions and rollbacks that were carried out, the oldest first: not those that were undone, nor what undid them."""
    moved = moves(entries)
    for entry, then in zip_longest(moved, moved[1:]):
        if entry.what != UNDONE and (then is None or then.what != UNDONE):
            yield entry


def entries_known(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries since MLflow knows them: those before which a person went on without MLflow are left out."""
    return entries[max((place for place, each in enumerate(entries) if REANCHORED in each.waived), default=0) :]


def promotion_of(entries: Sequence[Entry], ref: ModelVersionRef, digest: str) -> Entry | None:
    """Return the last entry that put this version into production, with this run and these files; None where none did.

    A number alone names no version: a registered model that was deleted and made anew has the same numbers again. Entries that MLflow
    did not know when a person went on from them count no longer.
    """
    same = (ref.version, ref.run_id, digest)
    carried_out = reversed(list(stood(entries_known(entries))))
    return next((entry for entry in carried_out if (entry.to_version, entry.run_id, entry.artifact_digest) == same), None)


def standing_entry(entries: Sequence[Entry]) -> Entry | None:
    """Return the promotion or rollback that put the version into production which the last move leaves there; None where none did."""
    moved = moves(entries)
    version = moved[-1].to_version if moved else 0
    return next((entry for entry in reversed(list(stood(entries))) if entry.to_version == version), None)


def _unreadable(key: str, content: bytes | None, *, own: str) -> str:
    if key != own:
        return f"its object {own} is missing: the next one there is {key!r}"
    if content is None:
        return f"its object {key} is larger than any entry, or was removed while it was read"
    return f"its object {key} does not hold an entry"


def _problems(entry: Entry, content: bytes | None, expected: int, before: str, registered_model: str) -> Iterator[str]:
    if entry.number != expected:
        yield f"its object holds entry {entry.number}"
    if entry.registered_model != registered_model:
        yield "it is an entry of another registered model"
    if entry.before != before:
        yield "it is not chained to the entry before: one of the two was changed, or an entry was removed or inserted"
    if entry.line() != content:
        yield "its line is not the one that passerelle writes for these fields"


def _unwritten(head: bytes | None, entries: Sequence[Entry], before: str, registered_model: str) -> Entry | None:
    """Return the entry that the head holds and that has no object of its own, if it continues the chain."""
    parsed = parsed_head(head) if head is not None else None
    if parsed is None or parsed.number != len(entries) + 1:
        return None
    entry = parsed_entry(parsed.entry.encode())
    if entry is None or entry.line() != parsed.entry.encode() or entry.digest != parsed.digest:
        return None
    expected = (parsed.number, before, registered_model)
    return entry if (entry.number, entry.before, entry.registered_model) == expected else None


def _head_problems(head: bytes | None, last: int, last_digest: str) -> Iterator[LedgerFault]:
    if head is None:
        if last:
            yield LedgerFault(last, "the head, the object that names the last entry, is missing")
        return
    parsed = parsed_head(head)
    if parsed is None:
        yield LedgerFault(last, "the head, the object that names the last entry, cannot be read")
    elif parsed.number > last:
        yield LedgerFault(last + 1, f"it is missing: the head names entry {parsed.number} as the last one")
    elif parsed.number < last:
        yield LedgerFault(parsed.number + 1, f"it was inserted, or the head put back: that names entry {parsed.number} as the last one")
    elif parsed.digest != last_digest:
        yield LedgerFault(last, "the head names another entry of this number: one of the two was changed")


def _unknown(entries: Sequence[Entry], anchors: Anchors) -> Iterator[LedgerFault]:
    if anchors.last_number is None:
        if entries:
            yield LedgerFault(len(entries), UNANCHORED)
        return
    for number, digest in sorted(anchors.confirmed):
        if not 1 <= number <= len(entries):
            yield LedgerFault(number, "MLflow knows it, and it is missing here: it was removed")
        elif entries[number - 1].digest != digest:
            yield LedgerFault(number, "MLflow knows another entry of this number: this one was changed or inserted")
    known = {number for number, _ in anchors.confirmed}
    if entries and len(entries) not in known and not anchors.know(entries[-1]):
        yield LedgerFault(
            len(entries), "MLflow does not know it, and passerelle tells MLflow of an entry before it writes one: somebody else wrote it"
        )

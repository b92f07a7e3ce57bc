"""All looks next to one version in production, as they are stored, compared with what MLflow knows of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.model.ledger_entry import CountedLook, Entry
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.ledger import BEGINNING, Ledger
from passerelle.registry.look_anchors import known_looks
from passerelle.registry.look_objects import Look, has_good_signature, look_digest, parsed_look
from passerelle.settings import SigningSettings

#: Nothing passes after so many looks at one test set.
MOST_LOOKS = 1_000
_MOST_BYTES = 65_536
_READERS = 8
#: In the place of a run, of looks before the first promotion.
_NOBODY = "none"


@dataclass(frozen=True)
class LookTaken:
    """What a look is worth.

    Attributes:
        number: Of this look among those at the same rows, next to the same version in production.
        counted: Whether its object is there; it cannot be written without the right to.
        lost: Looks whose objects were removed, replaced or changed, or are signed by nobody that is trusted: each counts as one at these
            rows.
        unknown: Looks that MLflow does not know, or no longer; they count as what they are.
        unsigned: Looks without a signature since looks are signed.
        proof: What the ledger's entry of a promotion keeps; None where the look is not counted.
    """

    number: int
    counted: bool = True
    lost: int = 0
    unknown: int = 0
    unsigned: int = 0
    proof: CountedLook | None = field(default=None, compare=False)


@dataclass(frozen=True)
class LookRecord:
    """All looks next to one version in production, as they were read.

    Attributes:
        beside: Run of that version.
        digests: Of the object of each look, from that of the beginning on.
        lost: Numbers of the looks that are not what was written.
        unknown: Numbers of those that MLflow does not know, but for the last one, whose writer may have been interrupted.
        interrupted: That last one, where MLflow does not know it.
        unsigned: Numbers of those without a signature since looks are signed.
    """

    beside: str
    looks: tuple[Look, ...]
    digests: tuple[str, ...]
    lost: frozenset[int]
    unknown: frozenset[int]
    unsigned: frozenset[int]
    interrupted: tuple[Look, ...] = ()

    @property
    def last(self) -> int:
        """Number of the last look; 0 where there is none."""
        return len(self.digests) - 1

    def taken(self, look: Look, *, counted: bool = True) -> LookTaken:
        """Return the place of the look among those at its rows."""
        earlier = sum(each.number < look.number and each.rows.overlaps(look.rows) for each in self.looks if each.number not in self.lost)
        faulty = (self.lost, self.unknown, self.unsigned)
        lost, unknown, unsigned = (sum(number < look.number for number in numbers) for numbers in faulty)
        number = earlier + lost + 1
        proof = CountedLook(self.beside, number, look.number, look.digest) if counted else None
        return LookTaken(number, counted, lost, unknown, unsigned, proof)


def folder_of_looks(registry: Registry, registered_model: str, beside: str) -> str:
    """Return the prefix of the names of the looks next to one version in production."""
    return f"{Ledger(registry.objects, registered_model).looks_folder}{beside}/"


def key_of_look(folder: str, number: int) -> str:
    """Return the name of a look's object."""
    return f"{folder}{number:06d}.json"


def read_looks(registry: Registry, registered_model: str, champion: ModelVersionRef | None, signing: SigningSettings | None) -> LookRecord:
    """Return what is stored: the objects without a gap from the first on, and up to the one that MLflow knows; others are not ours.

    An object whose former version the bucket keeps was there, whatever was done to it and to MLflow's database.

    Raises:
        OutsideError: MLflow or S3 does not answer.
    """
    beside = champion.run_id if champion else _NOBODY
    folder, known = folder_of_looks(registry, registered_model, beside), known_looks(registry, champion)
    stored = _stored(registry, folder, min(max(known, default=0), MOST_LOOKS))
    looks = [parsed_look(each.content, number) for number, each in enumerate(stored, start=1)]
    digests = (BEGINNING, *(look_digest(each.content or b"") for each in stored))
    found = tuple(look for look in looks if look)
    unsigned, forged = _without_signature(found, signing)
    lost = {number for number, each in enumerate(stored, start=1) if each.altered or looks[number - 1] is None}
    lost |= set(_changed(looks, digests, known)) | forged
    unconfirmed = [look for look in found if champion and look.number not in lost and look.number not in known]
    interrupted = tuple(look for look in unconfirmed if look.number == len(stored))
    unknown = frozenset(look.number for look in unconfirmed if look not in interrupted)
    return LookRecord(beside, found, digests, frozenset(lost), unknown, unsigned, interrupted)


def _changed(looks: Sequence[Look | None], digests: Sequence[str], known: Mapping[int, str]) -> Iterator[int]:
    """Yield the numbers of looks that are not those that MLflow knows, or not what the next one is chained to."""
    yield from (number for number, digest in known.items() if number < len(digests) and digests[number] != digest)
    for number, look in enumerate(looks, start=1):
        if look is not None and look.before != digests[number - 1]:
            yield max(number - 1, 1)


def _without_signature(looks: Sequence[Look], signing: SigningSettings | None) -> tuple[frozenset[int], frozenset[int]]:
    """Return the looks since the last good signature that have none, and those whose signature is not good.

    Through the chain, a good signature covers all looks before it, also those that were taken before there was a key.
    """
    signed = [look.number for look in looks if look.signature]
    if signing is None or not signing.required or not (signed or signing.verify == "required"):
        return frozenset(), frozenset()
    unsigned: set[int] = set()
    forged: set[int] = set()
    for look in reversed(looks):
        if look.signature and has_good_signature(look, signing):
            break
        (forged if look.signature else unsigned).add(look.number)
    first = signed[0] if signed else 0
    return frozenset(number for number in unsigned if number > first), frozenset(forged)


@dataclass(frozen=True)
class _StoredLook:
    """The object of a look: its content, None where there is none or a larger one, and whether a former version says otherwise."""

    content: bytes | None
    altered: bool


def _stored(registry: Registry, folder: str, known_last: int) -> list[_StoredLook]:
    """Return the objects by their names, up to the last that MLflow was told of and on to the first gap: no other object hides one."""
    stored: list[_StoredLook] = []
    with ThreadPoolExecutor(_READERS) as readers:
        while len(stored) < MOST_LOOKS:
            numbers = range(len(stored) + 1, min(max(known_last, len(stored) + _READERS), MOST_LOOKS) + 1)
            read = readers.map(lambda number: _look_at(registry, key_of_look(folder, number)), numbers)
            for number, each in zip(numbers, read, strict=True):
                if number > known_last and each.content is None and not each.altered:
                    return stored
                stored.append(each)
    return stored


def _look_at(registry: Registry, key: str) -> _StoredLook:
    altered = registry.objects.was_altered(key)
    try:
        return _StoredLook(registry.objects.read(key, most_bytes=_MOST_BYTES)[0], altered)
    except NotFoundError:
        return _StoredLook(None, altered)
    except IntegrityError:
        return _StoredLook(None, altered=True)


def look_faults(
    registry: Registry, registered_model: str, entries: Sequence[Entry], champion: ModelVersionRef | None, signing: SigningSettings | None
) -> Iterator[str]:
    """Yield what is wrong with the looks that promotions were decided at, and with those next to the version in production.

    Raises:
        OutsideError: MLflow or S3 does not answer.
    """
    proofs = {entry.number: entry.look for entry in entries if entry.look is not None}
    versions = {info.ref.run_id: info.ref for info in registry.versions(registered_model)}
    runs = dict.fromkeys([*(look.beside for look in proofs.values()), *([champion.run_id] if champion else [])])
    for run_id in runs:
        ref = None if run_id == _NOBODY else versions.get(run_id, ModelVersionRef(registered_model, 0, run_id))
        record = read_looks(registry, registered_model, ref, signing)
        what = f"the looks next to the run {run_id}" if ref else "the looks before the first promotion"
        if record.lost:
            yield f"{what}: {_numbers(record.lost)} {'was' if len(record.lost) == 1 else 'were'} removed, changed or forged"
        if record.unknown:
            yield f"{what}: MLflow does not know {_numbers(record.unknown)}, or no longer, and they count: who may write to its database?"
        if record.unsigned:
            yield f"{what}: {_numbers(record.unsigned)} without a signature, and earlier ones are signed"
        for number, look in proofs.items():
            if look.beside == run_id and (look.among > record.last or record.digests[look.among] != look.digest):
                yield f"{what}: entry {number} of the ledger was decided at number {look.among}, which is missing or another now"


def _numbers(numbers: frozenset[int]) -> str:
    return ("number " if len(numbers) == 1 else "numbers ") + ", ".join(map(str, sorted(numbers)))

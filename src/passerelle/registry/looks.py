"""The looks at test sets: each verdict next to a version in production is an object beside the ledger, numbered and chained."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from pydantic import TypeAdapter, ValidationError

from passerelle.errors import BusyError, IntegrityError, NotFoundError, OutsideError
from passerelle.names import LOOKS, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.ledger import BEGINNING, Ledger

#: Nothing passes after so many looks at one test set.
MOST_LOOKS = 1_000
_MOST_BYTES = 16_384
_READERS, _ATTEMPTS = 8, 20
#: Two test sets count as one where the smaller has at least this share of its rows in the other.
_SAME_ROWS = 0.5
_TAG = re.compile(r"([0-9]{1,6}) (sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class RowSet:
    """The rows of a verdict, without their texts.

    Attributes:
        digest: Of all rows and labels.
        rows: How many differ.
        sketch: Beginnings of the smallest of their hashes, from which the overlap of two sets is estimated (Broder, "On the resemblance
            and containment of documents", 1997).
    """

    digest: str
    rows: int
    sketch: tuple[str, ...]

    def overlaps(self, other: RowSet) -> bool:
        """Return whether the smaller of both is for the greater part in the other: adding or leaving out rows makes no fresh test set."""
        if self.digest == other.digest:
            return True
        size = min(len(self.sketch), len(other.sketch))
        union = sorted({*self.sketch, *other.sketch})[:size]
        if not union:
            return False
        resemblance = sum(each in self.sketch and each in other.sketch for each in union) / len(union)
        shared = resemblance / (1 + resemblance) * (self.rows + other.rows)
        return shared >= _SAME_ROWS * min(self.rows, other.rows)


@dataclass(frozen=True)
class Look:
    """One verdict.

    Attributes:
        number: Among all looks next to one version in production.
        before: Digest of the object of the look before.
        run_id: Of the version that was judged.
        criteria_digest: Of the criteria that it was judged by.
        rows: That it was judged by.
    """

    number: int
    before: str
    when: str
    who: str
    run_id: str
    criteria_digest: str
    rows: RowSet

    def line(self) -> bytes:
        """Return the object's content."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True).encode() + b"\n"

    def asks_as(self, other: Look) -> bool:
        """Return whether both ask the same: version, criteria and rows."""
        return (self.run_id, self.criteria_digest, self.rows.digest) == (other.run_id, other.criteria_digest, other.rows.digest)


_LOOK = TypeAdapter(Look)


@dataclass(frozen=True)
class LookTaken:
    """What a look is worth.

    Attributes:
        number: Of this look among those at the same rows, next to the same version in production.
        counted: Whether its object is there; it cannot be written without the right to.
        lost: Looks whose objects were removed, replaced or changed: each counts as one at these rows.
    """

    number: int
    counted: bool = True
    lost: int = 0


@dataclass(frozen=True)
class _Record:
    """All looks next to one version in production, as they were read."""

    looks: tuple[Look, ...]
    lost: frozenset[int]
    last: int
    digest: str

    def taken(self, look: Look, *, counted: bool = True) -> LookTaken:
        """Return the place of the look among those at its rows."""
        earlier = sum(each.number < look.number and each.rows.overlaps(look.rows) for each in self.looks if each.number not in self.lost)
        lost = sum(number < look.number for number in self.lost)
        return LookTaken(earlier + lost + 1, counted, lost)


def take_look(registry: Registry, look: Look, registered_model: str, champion: ModelVersionRef | None, *, dry_run: bool) -> LookTaken:
    """Count a look, unless the same was asked before, and return its place; two at once get different places.

    Args:
        look: Without its number.
        champion: The version in production; None before the first promotion.
        dry_run: Whether it goes on where it cannot be written.

    Raises:
        OutsideError: S3 does not answer, or does not let it be written, and this is no dry run.
        BusyError: Others took the next number again and again.
    """
    folder = f"{Ledger(registry.objects, registered_model).looks_folder}{champion.run_id if champion else 'none'}/"
    for _ in range(_ATTEMPTS):
        record = _read(registry, folder, champion)
        before = next((each for each in record.looks if each.asks_as(look) and each.number not in record.lost), None)
        if before is not None:
            return record.taken(before)
        new = replace(look, number=record.last + 1, before=record.digest)
        if new.number > MOST_LOOKS:
            return record.taken(new, counted=False)
        try:
            if not registry.objects.create(_key(folder, new.number), new.line()):
                continue
            _confirm(registry, champion, new)
        except OutsideError:
            if not dry_run:
                raise
            return record.taken(new, counted=False)
        return record.taken(new)
    raise BusyError("other verdicts are counted at this moment, again and again", hint="passerelle status")


def _confirm(registry: Registry, champion: ModelVersionRef | None, look: Look) -> None:
    """Tell MLflow of the last look, so that it is noticed where objects are removed."""
    if champion is not None:
        with suppress(NotFoundError):
            registry.set_version_tags(champion, {LOOKS: f"{look.number} {_digest(look.line())}"})


def _read(registry: Registry, folder: str, champion: ModelVersionRef | None) -> _Record:
    """Return what is stored: the objects without a gap from the first on, and up to the one that MLflow knows; others are not ours."""
    present = set(registry.objects.keys(folder, most=MOST_LOOKS + 16))
    known, known_digest = _known(registry, champion)
    last = min(max(_last_of(folder, present), known), MOST_LOOKS)
    with ThreadPoolExecutor(_READERS) as readers:
        contents = list(readers.map(lambda number: _content(registry, _key(folder, number), present), range(1, last + 1)))
    looks = [_parsed(content, number) for number, content in enumerate(contents, start=1)]
    lost = {number for number, look in enumerate(looks, start=1) if look is None}
    digests = [BEGINNING, *(_digest(content or b"") for content in contents)]
    lost |= set(_unchained(looks, digests))
    if known and known <= last and digests[known] != known_digest:
        lost.add(known)
    return _Record(tuple(look for look in looks if look), frozenset(lost), last, digests[last])


def _unchained(looks: list[Look | None], digests: list[str]) -> Iterator[int]:
    """Yield the numbers of looks that are not what the next one is chained to, and that of a first one which is chained to another."""
    for number, look in enumerate(looks, start=1):
        if look is not None and look.before != digests[number - 1]:
            yield max(number - 1, 1)


def _known(registry: Registry, champion: ModelVersionRef | None) -> tuple[int, str]:
    if champion is None:
        return 0, ""
    try:
        tags = registry.model_version(champion.registered_model, champion.version).tags
    except NotFoundError:
        return 0, ""
    found = _TAG.fullmatch(tags.get(LOOKS, ""))
    return (int(found[1]), found[2]) if found else (0, "")


def _last_of(folder: str, present: set[str]) -> int:
    number = 0
    while _key(folder, number + 1) in present:
        number += 1
    return number


def _content(registry: Registry, key: str, present: set[str]) -> bytes | None:
    if key not in present:
        return None
    try:
        return registry.objects.read(key, most_bytes=_MOST_BYTES)[0]
    except (NotFoundError, IntegrityError):
        return None


def _parsed(content: bytes | None, number: int) -> Look | None:
    try:
        look = _LOOK.validate_json(content or b"")
    except ValidationError:
        return None
    return look if look.number == number else None


def _key(folder: str, number: int) -> str:
    return f"{folder}{number:06d}.json"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()

"""The ledger of promotions and rollbacks: append-only in S3, each entry chained to the digest of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import quote

from passerelle.errors import NotFoundError, OutsideError
from passerelle.registry.objects import Objects

#: What the first entry is chained to.
BEGINNING = "sha256:" + hashlib.sha256(b"passerelle ledger").hexdigest()


@dataclass(frozen=True)
class Entry:
    """One promotion or rollback.

    Attributes:
        number: 1 for the first entry of a registered model.
        before: Digest of the entry before; of `BEGINNING` for the first.
        when: ISO 8601, UTC.
        who: user@host, or the CI job.
        what: promote or rollback.
        from_version: The version that was in production, if there was one.
        forced: The criteria were not met, and `reason` says why it was done all the same.
        metrics: What the gate measured.
        trusted_pickle: The model is a pickle, which somebody trusted in development.
        waived: By whom and why each check of the gate was waived that failed.
        report_digest: SHA-256 of the gate's page, which lies among the artifacts of the run.
    """

    number: int
    before: str
    when: str
    who: str
    what: str
    registered_model: str
    from_version: int | None
    to_version: int
    run_id: str
    artifact_digest: str
    criteria_digest: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    forced: bool = False
    waived: Mapping[str, str] = field(default_factory=dict)
    trusted_pickle: bool = False
    report_digest: str | None = None

    def line(self) -> bytes:
        """Return the entry as one line of canonical JSON: what is stored and what is hashed."""
        content = asdict(self)
        # What came later is left out where it says nothing: lines written before stay what they were.
        for name in ("waived", "trusted_pickle", "report_digest"):
            if not content[name]:
                del content[name]
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the stored line."""
        return "sha256:" + hashlib.sha256(self.line()).hexdigest()


@dataclass(frozen=True)
class _Head:
    """What names the last entry, and holds it too: it is written first, so that a writer who was interrupted loses nothing."""

    number: int
    digest: str
    line: bytes | None
    entity_tag: str


@dataclass(frozen=True)
class Finding:
    """What the verification found wrong, and at which entry."""

    number: int
    problem: str


@dataclass(frozen=True)
class History:
    """The entries of one registered model, the oldest first, with what the verification found."""

    registered_model: str
    entries: tuple[Entry, ...]
    verified: bool = False
    findings: tuple[Finding, ...] = ()


class Ledger:
    """The ledger of one registered model: one object an entry, and one that names the last."""

    def __init__(self, objects: Objects, registered_model: str) -> None:
        self._objects = objects
        self._model = registered_model
        self._folder = f"ledger/{quote(registered_model, safe='')}/"

    def key(self, number: int) -> str:
        """Return the object's name of an entry."""
        return f"{self._folder}{number:06d}.jsonl"

    @property
    def _head_key(self) -> str:
        return f"{self._folder}head.json"

    @property
    def criteria_folder(self) -> str:
        """Where the criteria lie that entries name by their digest."""
        return f"{self._folder}criteria/"

    def entries(self) -> tuple[Entry, ...]:
        """Return all readable entries, the oldest first.

        Raises:
            OutsideError: S3 does not answer, or an entry is not one.
        """
        return tuple(_readable(key, content) for key, content in self._lines())

    def last(self) -> Entry | None:
        """Return the newest entry, or None of an empty ledger.

        Raises:
            OutsideError: S3 does not answer, or the entry is not one.
        """
        return next(self.newest_first(), None)

    def newest_first(self) -> Iterator[Entry]:
        """Yield the entries, the newest first, each read when it is asked for.

        Raises:
            As `last`.
        """
        keys, head = self._keys(), self._head()
        announced = self._announced(keys, head)
        if announced is not None:
            yield _readable(*announced)
        for key in reversed(keys):
            yield _readable(key, self._objects.read(key)[0])

    def append(self, entry: Entry) -> Entry | None:
        """Write the entry as the next one; None when somebody else wrote one at its place first.

        The conditional write of the head is where two promotions at once are decided: exactly one writer gets the number.

        Raises:
            OutsideError: S3 does not answer, or an entry stands at this place that the head did not announce.
        """
        keys, head = self._keys(), self._head()
        announced = self._announced(keys, head)
        if announced is not None:
            self._objects.create(*announced)
        last = self.last()
        number, before = (last.number + 1, last.digest) if last else (1, BEGINNING)
        if entry.number not in (0, number):
            return None
        chained = replace(entry, number=number, before=before, registered_model=self._model)
        if not self._announce(chained, head):
            return None
        if not self._objects.create(self.key(number), chained.line()):
            raise OutsideError(f"{self.key(number)} stands there already, and nobody announced it", hint="passerelle history --verify")
        return chained

    def _announce(self, entry: Entry, head: _Head | None) -> bool:
        held = {"number": entry.number, "digest": entry.digest, "entry": entry.line().decode()}
        content = json.dumps(held, ensure_ascii=False).encode()
        if head is None:
            return self._objects.create(self._head_key, content)
        return self._objects.replace(self._head_key, content, entity_tag=head.entity_tag)

    def _head(self) -> _Head | None:
        try:
            content, tag = self._objects.read(self._head_key)
        except NotFoundError:
            return None
        try:
            held = json.loads(content)
            line = str(held["entry"]).encode() if "entry" in held else None
            return _Head(int(held["number"]), str(held["digest"]), line, tag)
        except (ValueError, KeyError, TypeError):
            return _Head(-1, "", None, tag)

    def _announced(self, keys: Sequence[str], head: _Head | None) -> tuple[str, bytes] | None:
        """Return the entry that was announced and not written: its writer was interrupted between the two."""
        if head is None or head.line is None or head.number != len(keys) + 1:
            return None
        return self.key(head.number), head.line

    def _lines(self) -> list[tuple[str, bytes]]:
        keys, head = self._keys(), self._head()
        announced = self._announced(keys, head)
        return [*((key, self._objects.read(key)[0]) for key in keys), *([announced] if announced else [])]

    def verify(self, known: Mapping[int, str] | None = None) -> History:
        """Return the history with every entry that was changed, removed or inserted.

        Args:
            known: Digest of each entry that MLflow was told of: whoever forges the ledger would have to forge that too.
        """
        findings: list[Finding] = []
        entries: list[Entry] = []
        before = BEGINNING
        for place, (key, content) in enumerate(self._lines(), start=1):
            entry = _parsed(content)
            if entry is None:
                findings.append(Finding(place, f"{key} is not an entry"))
                continue
            findings += _problems(entry, content, expected=len(entries) + 1, before=before, name=key, own=self.key(entry.number))
            entries.append(entry)
            before = "sha256:" + hashlib.sha256(content).hexdigest()
        findings += self._head_problems(entries, before)
        findings += _unknown(entries, known or {})
        return History(self._model, tuple(entries), verified=True, findings=tuple(findings))

    def _head_problems(self, entries: Sequence[Entry], last_digest: str) -> list[Finding]:
        head = self._head()
        if head is None:
            return [Finding(len(entries), "the object that names the last entry is missing")] if entries else []
        if self._announced(self._keys(), head):
            return [Finding(head.number, "its object is missing, and the one that names it still holds it: removed, or never written")]
        if head.number < 0:
            return [Finding(len(entries), "the object that names the last entry is not readable")]
        if head.number > len(entries):
            return [Finding(head.number, f"entries after {len(entries)} were removed: the last one was {head.number}")]
        if head.number < len(entries):
            return [Finding(len(entries), f"the last entry that was announced is {head.number}: what follows was inserted")]
        return [] if head.digest == last_digest else [Finding(head.number, "the last entry was changed")]

    def _keys(self) -> list[str]:
        return [key for key in self._objects.keys(self._folder) if key.endswith(".jsonl")]


def _readable(key: str, content: bytes) -> Entry:
    entry = _parsed(content)
    if entry is None:
        raise OutsideError(f"the ledger's entry {key} is not readable", hint="passerelle history --verify")
    return entry


def _unknown(entries: Sequence[Entry], known: Mapping[int, str]) -> list[Finding]:
    """Return where the entries are not those that MLflow was told of; ledgers from before it was told have none of that."""
    found = [
        Finding(number, "MLflow was told of another entry under this number: it was changed or removed")
        for number, digest in sorted(known.items())
        if number > len(entries) or entries[number - 1].digest != digest
    ]
    if known and len(entries) > max(known):
        found.append(
            Finding(len(entries), "MLflow was never told of the last entry: its promotion was interrupted, or somebody wrote it by hand")
        )
    return found


def _parsed(content: bytes) -> Entry | None:
    try:
        return Entry(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _problems(entry: Entry, content: bytes, *, expected: int, before: str, name: str, own: str) -> list[Finding]:
    problems = []
    if entry.number != expected or name != own:
        problems.append(f"the entry {expected} is missing: here stands {entry.number}")
    if entry.before != before:
        problems.append("it is not chained to the entry before: one of the two was changed, or an entry was removed or inserted")
    if entry.line() != content:
        problems.append("its line is not the canonical one: it was written by other hands")
    return [Finding(entry.number, problem) for problem in problems]


def now() -> str:
    """Return the time as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""The ledger of promotions and rollbacks: append-only in S3, each entry chained to the digest of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
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

    def line(self) -> bytes:
        """Return the entry as one line of canonical JSON: what is stored and what is hashed."""
        content = asdict(self)
        # What came later is left out where it says nothing: lines written before stay what they were.
        for name in ("waived", "trusted_pickle"):
            if not content[name]:
                del content[name]
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the stored line."""
        return "sha256:" + hashlib.sha256(self.line()).hexdigest()


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

    def entries(self) -> tuple[Entry, ...]:
        """Return all readable entries, the oldest first.

        Raises:
            OutsideError: S3 does not answer, or an entry is not one.
        """
        entries = []
        for key in self._keys():
            content, _ = self._objects.read(key)
            entry = _parsed(content)
            if entry is None:
                raise OutsideError(f"the ledger's entry {key} is not readable", hint="passerelle history --verify")
            entries.append(entry)
        return tuple(entries)

    def last(self) -> Entry | None:
        """Return the newest entry, or None of an empty ledger."""
        keys = self._keys()
        return _parsed(self._objects.read(keys[-1])[0]) if keys else None

    def append(self, entry: Entry) -> Entry | None:
        """Write the entry as the next one; None when somebody else wrote one at its place first.

        The conditional write is where two promotions at once are decided: exactly one writer gets the number.
        """
        last = self.last()
        number, before = (last.number + 1, last.digest) if last else (1, BEGINNING)
        if entry.number not in (0, number):
            return None
        chained = replace(entry, number=number, before=before, registered_model=self._model)
        if not self._objects.create(self.key(number), chained.line()):
            return None
        self._move_head(chained)
        return chained

    def _move_head(self, entry: Entry) -> None:
        content = json.dumps({"number": entry.number, "digest": entry.digest}).encode()
        try:
            _, tag = self._objects.read(self._head_key)
        except NotFoundError:
            self._objects.create(self._head_key, content)
        else:
            self._objects.replace(self._head_key, content, entity_tag=tag)

    def verify(self) -> History:
        """Return the history with every entry that was changed, removed or inserted."""
        findings: list[Finding] = []
        entries: list[Entry] = []
        before = BEGINNING
        for place, key in enumerate(self._keys(), start=1):
            content, _ = self._objects.read(key)
            entry = _parsed(content)
            if entry is None:
                findings.append(Finding(place, f"{key} is not an entry"))
                continue
            findings += _problems(entry, content, expected=len(entries) + 1, before=before, name=key, own=self.key(entry.number))
            entries.append(entry)
            before = "sha256:" + hashlib.sha256(content).hexdigest()
        findings += self._head_problems(entries, before)
        return History(self._model, tuple(entries), verified=True, findings=tuple(findings))

    def _head_problems(self, entries: Sequence[Entry], last_digest: str) -> list[Finding]:
        try:
            head = json.loads(self._objects.read(self._head_key)[0])
            number, digest = int(head["number"]), str(head["digest"])
        except NotFoundError:
            return [Finding(len(entries), "the object that names the last entry is missing")] if entries else []
        except (ValueError, KeyError, TypeError):
            return [Finding(len(entries), "the object that names the last entry is not readable")]
        if number > len(entries):
            return [Finding(number, f"entries after {len(entries)} were removed: the last one was {number}")]
        if number < len(entries):
            # A writer that ended between its two writes leaves the head one behind; more than that, somebody inserted.
            return (
                []
                if number == len(entries) - 1 and entries[-1].before == digest
                else [Finding(len(entries), "an entry was inserted at the end")]
            )
        return [] if digest == last_digest else [Finding(number, "the last entry was changed")]

    def _keys(self) -> list[str]:
        return [key for key in self._objects.keys(self._folder) if key.endswith(".jsonl")]


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

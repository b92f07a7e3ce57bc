"""The ledger of promotions and rollbacks in S3: one object for each entry, chained to the one before; a head names the last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import TypeAdapter

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.registry.objects import Objects

#: What the first entry is chained to.
BEGINNING = "sha256:" + hashlib.sha256(b"passerelle ledger").hexdigest()
#: An entry with metrics and a certificate signature takes 10 KiB; the head holds an entry as a JSON string.
MOST_ENTRY_BYTES, MOST_HEAD_BYTES = 65_536, 262_144
HEAD_NAME = "head.json"
_READERS = 8
#: The criteria, the head and the lock lie in the same folder, after the entries.
_OTHER_OBJECTS = 16


@dataclass(frozen=True)
class Entry:
    """One promotion or rollback.

    Attributes:
        number: 1 for the first entry of a registered model.
        before: Digest of the entry before; of `BEGINNING` for the first.
        when: ISO 8601, UTC.
        who: user@host, or the CI job.
        what: promote or rollback; undone where the steps of the entry before failed and were put back.
        from_version: The version that was in production, if there was one.
        forced: The criteria were not met, and `reason` says why it was done all the same.
        metrics: What the gate measured.
        trusted_pickle: The model is a pickle, which somebody trusted in development.
        waived: By whom and why each check of the gate was waived that failed.
        report_digest: SHA-256 of the gate's page, which lies among the artifacts of the run.
        signature: Of all the other fields, where there is a key: a Sigstore bundle as JSON.
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
    metrics: Mapping[str, int | float] = field(default_factory=dict)
    reason: str | None = None
    forced: bool = False
    waived: Mapping[str, str] = field(default_factory=dict)
    trusted_pickle: bool = False
    report_digest: str | None = None
    signature: str | None = None

    def content(self) -> dict[str, object]:
        """Return the fields as they are stored."""
        content = asdict(self)
        # Later fields are left out where they are empty, so that the digests of older lines stay the same.
        for name in ("waived", "trusted_pickle", "report_digest", "signature"):
            if not content[name]:
                del content[name]
        return content

    def line(self) -> bytes:
        """Return the entry as one line of canonical JSON: what is stored and what is hashed."""
        return json.dumps(self.content(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the stored line."""
        return digest_of(self.line())


@dataclass(frozen=True)
class LedgerHead:
    """What names the last entry.

    It is written before the entry's own object and holds the entry too, so that an interruption between the two loses nothing.
    """

    number: int
    digest: str
    entry: str = ""

    def content(self) -> bytes:
        """Return the head as it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()


_ENTRY, _HEAD = TypeAdapter(Entry), TypeAdapter(LedgerHead)


@dataclass(frozen=True)
class Stored:
    """What lies in S3, unverified.

    Attributes:
        lines: Name and content of each entry's object, in the order of the names; None for one that is too large or gone.
        head: Content of the head; None where there is none.
        head_tag: Its entity tag, which the next write is conditional on.
    """

    lines: tuple[tuple[str, bytes | None], ...]
    head: bytes | None
    head_tag: str | None


class Ledger:
    """The objects of one registered model's ledger. `verified_ledger` reads them for a decision, `append` writes."""

    def __init__(self, objects: Objects, registered_model: str) -> None:
        self._objects = objects
        self._folder = folder_of(registered_model)

    def key(self, number: int) -> str:
        """Return the object's name of an entry."""
        return f"{self._folder}{entry_name(number)}"

    @property
    def head_key(self) -> str:
        """The head's name."""
        return f"{self._folder}{HEAD_NAME}"

    @property
    def criteria_folder(self) -> str:
        """The folder of the criteria, which entries name by their digest."""
        return f"{self._folder}criteria/"

    def read(self, *, most: int) -> Stored:
        """Return what is stored, the entries read concurrently.

        Args:
            most: Number of the last entry that can be there, so that no one can make the reader read more by adding objects.

        Raises:
            OutsideError: S3 does not answer.
        """
        listed = self._objects.keys(self._folder, most=most + _OTHER_OBJECTS)
        keys = [key for key in listed if key.endswith(".jsonl")][: most + 1]
        head, head_tag = self.read_head()
        with ThreadPoolExecutor(_READERS) as readers:
            contents = list(readers.map(self._content, keys))
        return Stored(tuple(zip(keys, contents, strict=True)), head, head_tag)

    def read_head(self) -> tuple[bytes | None, str | None]:
        """Return the head's content and entity tag; None for both where there is no head, and empty content where it is too large."""
        try:
            return self._objects.read(self.head_key, most_bytes=MOST_HEAD_BYTES)
        except NotFoundError:
            return None, None
        except IntegrityError:
            return b"", ""

    def write_head(self, entry: Entry, *, head_tag: str | None) -> bool:
        """Name the entry as the last; return False, and change nothing, if the head was written since it was read."""
        content = LedgerHead(entry.number, entry.digest, entry.line().decode()).content()
        if head_tag is None:
            return self._objects.create(self.head_key, content)
        return self._objects.replace(self.head_key, content, entity_tag=head_tag)

    def write(self, entry: Entry) -> None:
        """Write the entry's own object, unless it is there.

        Raises:
            IntegrityError: Another object has its name.
        """
        if not self._objects.create(self.key(entry.number), entry.line()):
            raise IntegrityError(f"another object stands at {self.key(entry.number)}", hint="passerelle history --verify")

    def _content(self, key: str) -> bytes | None:
        try:
            return self._objects.read(key, most_bytes=MOST_ENTRY_BYTES)[0]
        except (NotFoundError, IntegrityError):
            return None


def folder_of(registered_model: str) -> str:
    """Return the prefix of the names of all objects of a ledger."""
    return f"ledger/{quote(registered_model, safe='')}/"


def entry_name(number: int) -> str:
    """Return the name of an entry's object in the ledger's folder."""
    return f"{number:06d}.jsonl"


def digest_of(line: bytes) -> str:
    """Return the digest of a stored line."""
    return "sha256:" + hashlib.sha256(line).hexdigest()


def parsed_entry(content: bytes) -> Entry | None:
    """Return the entry that a stored line holds; None where it holds none."""
    try:
        return _ENTRY.validate_json(content, strict=True)
    except ValueError:
        return None


def parsed_head(content: bytes) -> LedgerHead | None:
    """Return the head that is stored; None where it is none."""
    try:
        return _HEAD.validate_json(content, strict=True)
    except ValueError:
        return None


def now() -> str:
    """Return the time as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

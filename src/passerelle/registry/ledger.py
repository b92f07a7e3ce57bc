"""The ledger of promotions and rollbacks in S3: one object for each entry, chained to the one before; a head names the last."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from pydantic import TypeAdapter

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.model.ledger_entry import MOST_ENTRY_BYTES, Entry
from passerelle.registry.objects import Objects

#: What the first entry is chained to.
BEGINNING = "sha256:" + hashlib.sha256(b"passerelle ledger").hexdigest()
#: The head holds an entry as a JSON string.
MOST_HEAD_BYTES = 262_144
HEAD_NAME = "head.json"
LOCK_NAME = "lock.json"
_READERS = 8
#: Objects that are looked at besides the entries: of what others put there, the first ones are told.
_OTHER_OBJECTS = 64
#: For which a bucket with object lock keeps an entry or a look, whoever is to remove it.
_HOLD = timedelta(days=3_653)
#: Entries that are read where MLflow knows none, and the head alone says how many there are.
MOST_UNANCHORED = 10_000


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


_HEAD = TypeAdapter(LedgerHead)


@dataclass(frozen=True)
class Stored:
    """What lies in S3, unverified.

    Attributes:
        lines: Name and content of each entry's object, in the order of their numbers; None for one that is too large or not there.
        head: Content of the head; None where there is none.
        head_tag: Its entity tag, which the next write is conditional on.
        foreign: Names of the first objects in the folder that are none of the ledger's; they count for nothing.
    """

    lines: tuple[tuple[str, bytes | None], ...]
    head: bytes | None
    head_tag: str | None
    foreign: tuple[str, ...] = ()


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

    @property
    def looks_folder(self) -> str:
        """The folder of the looks at test sets."""
        return f"{self._folder}looks/"

    def read(self, *, most: int | None) -> Stored:
        """Return what is stored, the entries read concurrently, each by its own name: other objects in the folder hide none of them.

        Args:
            most: Number of the last entry that MLflow was told of, so that no one can make the reader read more by adding objects or by
                a head; None where MLflow knows none at all.

        Raises:
            OutsideError: S3 does not answer.
        """
        head, head_tag = self.read_head()
        parsed = parsed_head(head) if head is not None else None
        named = parsed.number if parsed is not None else 0
        last = min(named, MOST_UNANCHORED) if most is None else max(most, min(named, most + 1))
        keys = [self.key(number) for number in range(1, last + 1)]
        own = {*keys, self.head_key, f"{self._folder}{LOCK_NAME}"}
        listed = self._objects.keys(self._folder, most=last + _OTHER_OBJECTS)
        foreign = tuple(key for key in listed if key not in own and not self._in_own_folder(key))
        with ThreadPoolExecutor(_READERS) as readers:
            lines = list(zip(keys, readers.map(self._content, keys), strict=True))
        while lines and lines[-1][1] is None:
            lines.pop()
        return Stored(tuple(lines), head, head_tag, foreign)

    def _in_own_folder(self, key: str) -> bool:
        """Return whether the object lies in a folder below the ledger's, such as that of the criteria."""
        folder, slash, _ = key.removeprefix(self._folder).partition("/")
        return bool(slash) and folder.isalpha()

    def read_head(self) -> tuple[bytes | None, str | None]:
        """Return the head's content and entity tag; None for both where there is no head, and empty content where it is too large.

        Raises:
            OutsideError: S3 does not answer.
        """
        try:
            return self._objects.read(self.head_key, most_bytes=MOST_HEAD_BYTES)
        except NotFoundError:
            return None, None
        except IntegrityError:
            return b"", self._objects.entity_tag(self.head_key)

    def write_head(self, entry: Entry, *, head_tag: str | None) -> bool:
        """Name the entry as the last; return False, and change nothing, if the head was written since it was read."""
        content = LedgerHead(entry.number, entry.digest, entry.line().decode()).content()
        if head_tag is None:
            return self._objects.create(self.head_key, content)
        return self._objects.replace(self.head_key, content, entity_tag=head_tag)

    def write(self, entry: Entry) -> None:
        """Write the entry's own object, unless it is there; what somebody else put at its name is replaced.

        The head names the entry already, and one writer alone wrote that.

        Raises:
            IntegrityError: Another object has its name, and keeps being written.
        """
        key, line = self.key(entry.number), entry.line()
        if not self._objects.create(key, line) and not self._objects.replace(key, line, entity_tag=self._objects.entity_tag(key)):
            raise IntegrityError(f"another object stands at {key}", hint="passerelle history --verify")
        hold_object(self._objects, key)

    def _content(self, key: str) -> bytes | None:
        try:
            return self._objects.read(key, most_bytes=MOST_ENTRY_BYTES)[0]
        except (NotFoundError, IntegrityError):
            return None


def hold_object(objects: Objects, key: str) -> bool:
    """Keep an entry or a look from being removed for ten years, where the bucket has object lock; return whether it is locked now."""
    return objects.hold(key, datetime.now(UTC) + _HOLD)


def folder_of(registered_model: str) -> str:
    """Return the prefix of the names of all objects of a ledger."""
    return f"ledger/{quote(registered_model, safe='')}/"


def entry_name(number: int) -> str:
    """Return the name of an entry's object in the ledger's folder."""
    return f"{number:06d}.jsonl"


def parsed_head(content: bytes) -> LedgerHead | None:
    """Return the head that is stored; None where it is none."""
    try:
        return _HEAD.validate_json(content, strict=True)
    except ValueError:
        return None


def now() -> str:
    """Return the time as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

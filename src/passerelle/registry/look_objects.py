"""The looks at test sets as they are stored: each verdict next to a version in production is a numbered object, chained and signed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from pydantic import TypeAdapter, ValidationError

from passerelle.errors import IntegrityError
from passerelle.model.verify import check_signature
from passerelle.registry.sign import sign
from passerelle.settings import SigningSettings

#: What the statement of a look's signature is about.
_SIGNED_SUBJECT = "ledger-look"
#: Two test sets count as one where the smaller has at least this share of its rows in the other.
_SAME_ROWS = 0.5


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
        signature: Of all other fields, and through the chain of all looks before, where there is a key: a Sigstore bundle as JSON.
    """

    number: int
    before: str
    when: str
    who: str
    run_id: str
    criteria_digest: str
    rows: RowSet
    signature: str | None = None

    def content(self) -> dict[str, object]:
        """Return the fields as they are stored; those written before have no signature."""
        content = asdict(self)
        if self.signature is None:
            del content["signature"]
        return content

    def line(self) -> bytes:
        """Return the object's content."""
        return json.dumps(self.content(), ensure_ascii=False, sort_keys=True).encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the object's content."""
        return look_digest(self.line())

    def asks_as(self, other: Look) -> bool:
        """Return whether both ask the same: version, criteria and rows."""
        return (self.run_id, self.criteria_digest, self.rows.digest) == (other.run_id, other.criteria_digest, other.rows.digest)


_LOOK = TypeAdapter(Look)


def parsed_look(content: bytes | None, number: int) -> Look | None:
    """Return the look that an object holds; None where it holds none, or one of another number."""
    try:
        look = _LOOK.validate_json(content or b"")
    except ValidationError:
        return None
    return look if look.number == number else None


def look_digest(content: bytes) -> str:
    """Return the digest of an object."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def signed_look(look: Look, signing: SigningSettings | None) -> Look:
    """Return the look with its signature; as it is where there is no key to sign with: a look is counted all the same.

    Raises:
        SettingsError: The key cannot be read.
    """
    return replace(look, signature=sign(look.content(), signing, run_id=_SIGNED_SUBJECT)) if signing is not None else look


def has_good_signature(look: Look, signing: SigningSettings) -> bool:
    """Return whether the look is signed by a trusted key.

    Raises:
        SettingsError: A signature is required, and there is no key to verify it with.
    """
    content = replace(look, signature=None).content()
    try:
        check_signature(content, look.signature, signing, of=f"look {look.number}", run_id=_SIGNED_SUBJECT)
    except IntegrityError:
        return False
    return True

"""An entry of the ledger as it is stored, hashed and signed: what the registry writes and whoever follows it verifies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from pydantic import TypeAdapter

from passerelle.model.verify import check_signature
from passerelle.settings import SigningSettings

#: An entry with its metrics and a signature by a certificate takes 10 KiB.
MOST_ENTRY_BYTES = 65_536
#: What the statement of an entry's signature is about; registered model and number are in the entry itself.
SIGNED_SUBJECT = "ledger-entry"
#: What an entry about a candidate says; it moves nothing in production.
CANDIDATE, CANDIDATE_ENDED = "candidate", "candidate-ended"
CANDIDATE_KINDS = frozenset({CANDIDATE, CANDIDATE_ENDED})
#: Of a candidate's weight, which is a share of the requests in percent.
LARGEST_WEIGHT = 100
#: What an entry says about the one before, whose steps failed and were put back.
UNDONE = "undone"
#: What an entry says about answers that were erased from the prediction log; it is about no version.
ERASURE = "erasure"
#: Fields that came later than the first ledgers.
_LATER = (
    "waived", "trusted_pickle", "report_digest", "candidate", "ended", "erased", "golden_origin", "held_out_digest",
    "criteria_before", "accepted", "look", "signature",
)  # fmt: skip


@dataclass(frozen=True)
class CandidateTerms:
    """How a candidate takes part.

    Attributes:
        mode: `canary` answers requests; `shadow` only scores beside the answers of the version in production.
        weight: Share of the requests, in percent.
        key_header: Header by whose value a client's requests always get the same version.
        limits: Of the comparison, from the criteria; the service stops sending to the candidate once one is broken.
    """

    mode: Literal["canary", "shadow"]
    weight: int
    key_header: str
    limits: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class ErasedAnswers:
    """Which answers were erased from the prediction log, without their content.

    Attributes:
        count: Number of the answers.
        ids_digest: SHA-256 of their ids, sorted, a line each: whoever has the ids can tell that they are these.
        days: Of the answers, in UTC.
    """

    count: int
    ids_digest: str
    days: tuple[str, ...]


@dataclass(frozen=True)
class CountedLook:
    """The look at a test set by which a version was judged.

    Attributes:
        beside: Run of the version in production then; `none` before the first promotion.
        number: Among the looks at the same rows.
        among: Among all looks next to that version.
        digest: Of its object: the signature of the entry covers it, and through its chain all looks before.
    """

    beside: str
    number: int
    among: int
    digest: str


@dataclass(frozen=True)
class Entry:
    """One promotion or rollback, what became of a candidate, or an erasure from the prediction log.

    Attributes:
        number: 1 for the first entry of a registered model.
        before: Digest of the entry before; of `BEGINNING` for the first.
        when: ISO 8601, UTC.
        who: user@host, or the CI job.
        what: promote or rollback; undone where the steps of the entry before failed and were put back; candidate or candidate-ended, which
            name the candidate as `to_version` and leave production alone; erasure, which names no version (`to_version` is 0).
        from_version: The version that was in production, if there was one.
        forced: The criteria were not met, and `reason` says why it was done all the same.
        metrics: What the gate measured.
        trusted_pickle: The model is a pickle, which somebody trusted in development.
        waived: By whom and why each check of the gate was waived that failed.
        report_digest: SHA-256 of the gate's page, which lies among the artifacts of the run.
        candidate: How a candidate takes part.
        ended: Why a candidate takes part no longer: promoted, withdrawn, or backed out because a limit was broken.
        erased: Which answers were erased from the prediction log.
        judged: False where there were no labelled rows to judge the version by, and somebody promoted it all the same, for `reason`.
        golden_origin: Of an adopted version: where the inputs of its golden predictions come from.
        held_out_digest: SHA-256 of the labelled rows that an operator gave the gate, for this version or an earlier one.
        criteria_before: Of a promotion by other criteria than the one before: digest of those that `who` replaced, for `reason`.
        accepted: What somebody accepted for `reason`, by its name, although it speaks against the version.
        look: By which look at its rows the version was judged.
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
    candidate: CandidateTerms | None = None
    ended: str | None = None
    erased: ErasedAnswers | None = None
    judged: bool = True
    golden_origin: str | None = None
    held_out_digest: str | None = None
    criteria_before: str | None = None
    accepted: tuple[str, ...] = ()
    look: CountedLook | None = None
    signature: str | None = None

    def content(self) -> dict[str, object]:
        """Return the fields as they are stored."""
        content = asdict(self)
        # What came later is left out where it says nothing: lines written before stay what they were.
        for name in _LATER:
            if not content[name]:
                del content[name]
        if self.judged:
            del content["judged"]
        return content

    def line(self) -> bytes:
        """Return the entry as one line of canonical JSON: what is stored and what is hashed."""
        return json.dumps(self.content(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    @property
    def moves_production(self) -> bool:
        """Whether the entry says which version is in production."""
        return self.what not in {*CANDIDATE_KINDS, ERASURE}

    @property
    def digest(self) -> str:
        """SHA-256 of the stored line."""
        return digest_of(self.line())


_ENTRY = TypeAdapter(Entry)


def digest_of(line: bytes) -> str:
    """Return the digest of a stored line."""
    return "sha256:" + hashlib.sha256(line).hexdigest()


def parsed_entry(content: bytes) -> Entry | None:
    """Return the entry that a stored line holds; None where it holds none."""
    try:
        return _ENTRY.validate_json(content, strict=True)
    except ValueError:
        return None


def problem_of_terms(entry: Entry) -> str | None:
    """Return what is wrong with how an entry lets its candidate take part, where somebody else than passerelle wrote it; else None."""
    if entry.what != CANDIDATE:
        return None
    if entry.candidate is None:
        return f"entry {entry.number} of the ledger names version {entry.to_version} as the candidate, and not its weight"
    weight = entry.candidate.weight
    if not 0 <= weight <= LARGEST_WEIGHT:
        return (
            f"entry {entry.number} of the ledger gives the candidate, version {entry.to_version}, a weight of {weight}: no share of the"
            f" requests in percent, 0 to {LARGEST_WEIGHT}"
        )
    return None


def check_entry_signature(entry: Entry, settings: SigningSettings | None) -> None:
    """Check that the entry is signed by a trusted key, where a signature is required; without settings nothing is.

    Raises:
        IntegrityError: As `check_signature`.
        SettingsError: As `check_signature`.
    """
    if settings is not None:
        content = replace(entry, signature=None).content()
        check_signature(content, entry.signature, settings, of=f"entry {entry.number} of the ledger", run_id=SIGNED_SUBJECT)

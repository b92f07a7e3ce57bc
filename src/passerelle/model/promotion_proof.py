"""The proof that travels with a bento model: the ledger's entry that put its version into production, as import wrote it there.

The service knows no registry. It believes the entry where its signature is good; where no signature is required, the entry protects from
carelessness alone, and whoever may write to the store is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from passerelle.errors import IntegrityError, RefusedError
from passerelle.model.ledger_entry import MOST_ENTRY_BYTES, UNDONE, Entry, check_entry_signature, digest_of, parsed_entry
from passerelle.model.lineage import read_lineage
from passerelle.names import LEDGER_FILE
from passerelle.regular_file import read_regular_file
from passerelle.settings import SigningSettings, StateSettings

#: Entries of a proof: the first one moved production, and the last one is signed where signatures are required.
MOST_ENTRIES = 1_000


def refuse_unpromoted(folder: Path, signing: SigningSettings | None = None) -> None:
    """Check, in production, that the ledger put the model of a bento model's directory into production; elsewhere check nothing.

    Raises:
        As `check_promoted`.
    """
    if StateSettings.read().environment == "production":
        check_promoted(folder, signing or SigningSettings.read())


def check_promoted(folder: Path, signing: SigningSettings | None) -> Entry:
    """Return the entry of the ledger that put the model of a bento model's directory into production.

    Through the chain, a valid signature covers the entries before it: an entry that is unsigned, or signed with a former key, is followed
    by those up to the first one that is signed with a trusted key.

    Args:
        signing: What the signature is verified with, where one is required.

    Raises:
        RefusedError: The directory holds no entry: no promotion put the version there.
        IntegrityError: The entry is about another version or other files, or its signature is missing or not good.
    """
    lineage = read_lineage(folder)
    name, version, run_id = (str(lineage.get(each, "")) for each in ("registered_model", "version", "run_id"))
    of = f"{name} version {version}"
    path = folder / LEDGER_FILE
    if not path.is_file():
        message = f"{of} is not served in production: its bento model holds no entry of the ledger, so no promotion put it there"
        raise RefusedError(message, hint=_again(version))
    entries = _read(path, of, version)
    first = entries[0]
    expected = (name, version, run_id, str(lineage["artifact_digest"]))
    if (first.registered_model, str(first.to_version), first.run_id, first.artifact_digest) != expected:
        raise IntegrityError(
            f"the ledger's entry in {folder} is not about {of} with these files", hint="bentoml models delete; passerelle import"
        )
    if not first.moves_production or any(each.what == UNDONE for each in entries[:2]):
        raise IntegrityError(f"entry {first.number} of the ledger in {folder} did not put {of} into production", hint=_again(version))
    check_entry_signature(entries[-1], signing)
    return first


def _read(path: Path, of: str, version: str) -> list[Entry]:
    """Return the entries of a proof, each chained to the one before."""
    damaged = IntegrityError(f"the ledger's entry of {of} in {path} cannot be read", hint=_again(version))
    try:
        lines = read_regular_file(path, MOST_ENTRIES * MOST_ENTRY_BYTES).splitlines(keepends=True)
    except OSError as error:
        raise damaged from error
    found = [entry for line in lines if (entry := parsed_entry(line)) is not None and entry.line() == line]
    if not lines or len(found) != len(lines) or len(lines) > MOST_ENTRIES:
        raise damaged
    if any(entry.before != digest_of(line) for entry, line in zip(found[1:], lines, strict=False)):
        raise damaged
    return found


def lines_of(entries: Sequence[Entry], signing: SigningSettings | None) -> bytes:
    """Return the proof of the first of these entries: its line, and those after it up to one that is signed with a trusted key.

    Where no entry is signed, and signatures are not always required, the line alone; the service decides whether that is enough.

    Args:
        entries: Of the ledger, in their order.

    Raises:
        IntegrityError: A signature is required, and none of them has a good one.
    """
    if signing is not None and signing.verify != "required" and not any(entry.signature for entry in entries):
        return entries[0].line()
    failure: IntegrityError | None = None
    for place, entry in enumerate(entries[:MOST_ENTRIES], start=1):
        try:
            check_entry_signature(entry, signing)
        except IntegrityError as error:
            failure = failure or error
            continue
        return b"".join(each.line() for each in entries[:place])
    raise failure or IntegrityError("the ledger holds no entry that could be the proof")


def keep_proof(folder: Path, lines: bytes, signing: SigningSettings | None) -> bool:
    """Write the proof into a bento model's directory in one step, unless it or a good one is there; return whether it was written."""
    path = folder / LEDGER_FILE
    if path.is_file() and path.stat().st_size == len(lines) and path.read_bytes() == lines:
        return False
    try:
        check_promoted(folder, signing)
    except RefusedError:
        partial = folder / f".{LEDGER_FILE}.partial"
        partial.write_bytes(lines)
        partial.chmod(0o644)
        partial.replace(path)
        return True
    return False


def _again(version: str) -> str:
    return f"passerelle promote --version {version}; passerelle import --version {version}; passerelle build"

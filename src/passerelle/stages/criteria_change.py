"""Criteria of a promotion that are not those of the one before: in production, only a person with a reason changes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from passerelle.criteria import Criteria
from passerelle.criteria_file import read_criteria
from passerelle.errors import PasserelleError, RefusedError
from passerelle.model.ledger_entry import CANDIDATE, Entry
from passerelle.registry.chain import stood
from passerelle.stages.acceptance import Reasons
from passerelle.stages.context import CRITERIA
from passerelle.stages.demo_ownership import REASON

#: Characters of a digest that tell two criteria apart in a message.
_DIGEST_CHARACTERS = 19


def criteria_of_project(project: Path) -> str | None:
    """Return the digest of the project's own criteria; None where it has none that can be read."""
    try:
        return read_criteria(project / CRITERIA).digest
    except PasserelleError:
        return None


def criteria_before(entries: Sequence[Entry], criteria: Criteria, of_project: str | None = None) -> str | None:
    """Return the digest of the criteria that these take the place of; None where they are the same, or the first.

    Before the first promotion, they are the project's. The demo's own criteria bind nobody.

    Args:
        entries: Of the ledger, the oldest first.
        of_project: Digest of the project's criteria, where it is known.
    """
    judged = {each.number for each in stood(entries) if each.what == "promote" and each.reason != REASON}
    found = (each for each in reversed(entries) if each.criteria_digest and (each.number in judged or each.what == CANDIDATE))
    before = next((each.criteria_digest for each in found), of_project)
    return before if before not in (None, criteria.digest) else None


def change_of_criteria(before: str, criteria: Criteria) -> str:
    """Return in words that the criteria are others."""
    now, then = (digest[:_DIGEST_CHARACTERS] for digest in (criteria.digest, before))
    return f"the criteria are not those of the last promotion or of the project: {now} in place of {then}"


def check_criteria(before: str | None, criteria: Criteria, reasons: Reasons, *, development: bool, retry: str) -> None:
    """Check that criteria are changed by a person with a reason, where this is production; the ledger's entry holds both.

    Args:
        before: Digest of the criteria that they take the place of, from `criteria_before`.
        reasons: What is accepted for a reason.
        retry: Command that asks again, with the options that accept the change.

    Raises:
        RefusedError: A job changes them, or nobody says why.
    """
    if before is None or development or reasons.accepts("criteria"):
        return
    message = f"{change_of_criteria(before, criteria)}; in production, {reasons.lacking}"
    raise RefusedError(message, hint=f"{retry} {reasons.options('criteria')}")
